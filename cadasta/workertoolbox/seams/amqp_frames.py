"""RabbitMQ: a message whose properties the client library cannot read is delivered nevertheless.

The library reads them before anybody sees the message. Where it cannot, because text is not UTF-8 or tables are nested
too deep, it raises an error instead of a message, and again after each new connection: no message behind it would ever
be delivered.
"""

from collections.abc import Callable
from typing import Any

from amqp import spec
from amqp.method_framing import frame_handler

#: The name under which a message has its properties, as RabbitMQ sent them, where they could not be read.
UNREAD = 'unread'
#: The name under which it has the reason.
REASON = 'reason'

_HEADER = 2
# Class and weight of the content, and the size of its body. Properties come next.
_FIXED_SIZE = 12
_NO_PROPERTIES = bytes(2)

# Class and method, which come before the arguments, and the delivery tag and a flag between two of them.
_METHOD_SIZE, _BETWEEN_SIZE = 4, 9
# So many characters are never too long for a name of AMQP, in bytes.
_KEY_LENGTH = 63

_Frame = tuple[int, int, bytes]


def tolerant_frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[_Frame], bool]:
    """Make what py-amqp calls for each frame that comes: the transport option ``frame_handler``.

    :param connection: the connection of the library.
    :param callback: what is called for each method that is complete.
    :returns: a function that takes a frame, and says whether a method was complete.
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
    # A consumer tag, and the exchange; the routing key comes last. Only its text may be anything.
    exchange = _METHOD_SIZE + 1 + arguments[_METHOD_SIZE] + _BETWEEN_SIZE
    key = exchange + 1 + arguments[exchange]
    text = arguments[key + 1 :].decode('utf-8', 'backslashreplace')[:_KEY_LENGTH].encode()
    return arguments[:key] + bytes([len(text)]) + text
