"""RabbitMQ: deliver a message even if py-amqp cannot read its properties, and the beginning of one that is too long.

py-amqp reads the properties before it delivers the message. If their text is not UTF-8 or their tables are nested too
deep, it raises an error and delivers nothing. RabbitMQ sends the message again on each new connection, so py-amqp would
never deliver the messages behind it. It also collects a body of any size in memory, several times.
"""

import struct
from collections.abc import Callable
from typing import Any

from amqp import spec
from amqp.method_framing import frame_handler

#: A message whose properties py-amqp could not read has their bytes under this name, as RabbitMQ sent them.
UNREAD = 'unread'
#: It has the reason under this name.
REASON = 'reason'
#: The size of its header, in bytes, and of its body, if that was cut off.
HEADER_SIZE, BODY_SIZE = 'header_size', 'body_size'

_HEADER, _BODY = 2, 3
# A header frame begins with the class and weight of the content and the size of its body. The properties follow.
_FIXED_SIZE = 12
_SIZE, _SIZE_OFFSET = struct.Struct('>Q'), 4
_NO_PROPERTIES = bytes(2)

# A method frame has the class and method before the arguments. The delivery tag and a flag come between two arguments.
_METHOD_SIZE, _BETWEEN_SIZE = 4, 9
# A text of this many characters always fits into a name of AMQP, which has at most 255 bytes.
_KEY_LENGTH = 63

_Frame = tuple[int, int, bytes]


def tolerant_frame_handler(
    connection: Any, callback: Callable[..., Any], longest: int, kept: int
) -> Callable[[_Frame], bool]:
    """Make the function that py-amqp calls for each frame that it receives: the transport option ``frame_handler``.

    :param connection: the connection of py-amqp.
    :param callback: the function that py-amqp calls for each complete method.
    :param longest: the size of the longest body that is delivered whole, in bytes.
    :param kept: how much is delivered of a longer one, in bytes.
    :returns: a function that takes a frame and tells whether it completed a method.
    """
    return _Frames(connection, callback, longest, kept).receive


class _Frames:
    def __init__(self, connection: Any, callback: Callable[..., Any], longest: int, kept: int) -> None:
        self._on_frame = frame_handler(connection, self._on_method)
        self._callback = callback
        self._longest = longest
        self._kept = kept
        # By channel: what becomes a property of the message that is arriving.
        self._notes: dict[int, dict[str, Any]] = {}
        # By channel: how much is still to be delivered of a body that is too long, and how much of it has yet to come.
        self._cuts: dict[int, tuple[int, int]] = {}

    def receive(self, frame: _Frame) -> bool:
        kind, channel, data = frame
        if kind == _HEADER:
            return self._receive_header(channel, data)
        if kind == _BODY and channel in self._cuts:
            return self._receive_part(channel, data)
        return bool(self._on_frame(frame))

    def _receive_header(self, channel: int, data: bytes) -> bool:
        self._notes[channel] = {HEADER_SIZE: len(data)}
        (size,) = _SIZE.unpack_from(data, _SIZE_OFFSET)
        if size > self._longest:
            self._notes[channel][BODY_SIZE] = size
            self._cuts[channel] = self._kept, size
            data = bytes(data[:_SIZE_OFFSET]) + _SIZE.pack(self._kept) + bytes(data[_FIXED_SIZE:])
        try:
            return bool(self._on_frame((_HEADER, channel, data)))
        except Exception as error:
            unread, reason = bytes(data[_FIXED_SIZE:]), f'{type(error).__name__}: {error}'
            self._notes[channel].update({UNREAD: unread, REASON: reason})
            return bool(self._on_frame((_HEADER, channel, bytes(data[:_FIXED_SIZE]) + _NO_PROPERTIES)))

    def _receive_part(self, channel: int, data: bytes) -> bool:
        wanted, coming = self._cuts.pop(channel)
        part = bytes(data[:wanted])
        if coming > len(data):
            self._cuts[channel] = wanted - len(part), coming - len(data)
        return bool(part) and bool(self._on_frame((_BODY, channel, part)))

    def _on_method(self, channel: int, method: Any, arguments: Any, content: Any) -> None:
        if content is not None:
            content.properties.update(self._notes.pop(channel))
        try:
            self._callback(channel, method, arguments, content)
        except UnicodeDecodeError:
            if method != spec.Basic.Deliver:
                raise
            self._callback(channel, method, _with_readable_key(bytes(arguments)), content)


def _with_readable_key(arguments: bytes) -> bytes:
    # The arguments are a consumer tag, the delivery tag, a flag, the exchange and the routing key. Only the routing key
    # may have text that is not UTF-8.
    exchange = _METHOD_SIZE + 1 + arguments[_METHOD_SIZE] + _BETWEEN_SIZE
    key = exchange + 1 + arguments[exchange]
    text = arguments[key + 1 :].decode('utf-8', 'backslashreplace')[:_KEY_LENGTH].encode()
    return arguments[:key] + bytes([len(text)]) + text
