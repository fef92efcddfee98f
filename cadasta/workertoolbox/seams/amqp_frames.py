"""RabbitMQ: deliver a message even if py-amqp cannot read its properties.

py-amqp reads the properties before it delivers the message. If their text is not UTF-8 or their tables are nested too
deep, it raises an error and delivers nothing. RabbitMQ sends the message again on each new connection, so py-amqp would
never deliver the messages behind it.
"""

from collections.abc import Callable
from typing import Any

from amqp import spec
from amqp.method_framing import frame_handler

#: A message whose properties py-amqp could not read has their bytes under this name, as RabbitMQ sent them.
UNREAD = 'unread'
#: It has the reason under this name.
REASON = 'reason'

_HEADER = 2
# A header frame begins with the class and weight of the content and the size of its body. The properties follow.
_FIXED_SIZE = 12
_NO_PROPERTIES = bytes(2)

# A method frame has the class and method before the arguments. The delivery tag and a flag come between two arguments.
_METHOD_SIZE, _BETWEEN_SIZE = 4, 9
# A text of this many characters always fits into a name of AMQP, which has at most 255 bytes.
_KEY_LENGTH = 63

_Frame = tuple[int, int, bytes]


def tolerant_frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[_Frame], bool]:
    """Make the function that py-amqp calls for each frame that it receives: the transport option ``frame_handler``.

    :param connection: the connection of py-amqp.
    :param callback: the function that py-amqp calls for each complete method.
    :returns: a function that takes a frame and tells whether it completed a method.
    """
    unread: dict[int, dict[str, Any]] = {}

    def on_method(channel: int, method: Any, arguments: Any, content: Any) -> None:
        if channel in unread:
            content.properties.update(unread.pop(channel))
        try:
            callback(channel, method, arguments, content)
        except UnicodeDecodeError:
            if method != spec.Basic.Deliver:
                raise
            callback(channel, method, _with_readable_key(bytes(arguments)), content)

    on_frame = frame_handler(connection, on_method)

    def on_any_frame(frame: _Frame) -> bool:
        kind, channel, data = frame
        try:
            return bool(on_frame(frame))
        except Exception as error:
            if kind != _HEADER:
                raise
            unread[channel] = {UNREAD: bytes(data[_FIXED_SIZE:]), REASON: f'{type(error).__name__}: {error}'}
            return bool(on_frame((kind, channel, bytes(data[:_FIXED_SIZE]) + _NO_PROPERTIES)))

    return on_any_frame


def _with_readable_key(arguments: bytes) -> bytes:
    # The arguments are a consumer tag, the delivery tag, a flag, the exchange and the routing key. Only the routing key
    # may have text that is not UTF-8.
    exchange = _METHOD_SIZE + 1 + arguments[_METHOD_SIZE] + _BETWEEN_SIZE
    key = exchange + 1 + arguments[exchange]
    text = arguments[key + 1 :].decode('utf-8', 'backslashreplace')[:_KEY_LENGTH].encode()
    return arguments[:key] + bytes([len(text)]) + text
