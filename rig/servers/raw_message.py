"""A message for RabbitMQ whose properties are any bytes."""

from __future__ import annotations

import struct

from amqp.basic_message import Message


class Raw(Message):
    """A message whose properties are exactly these bytes: first the flags, then the properties themselves.

    :param raw: the bytes; without them, the message has no properties
    """

    def __init__(self, body: bytes, raw: bytes = bytes(2)) -> None:
        super().__init__(body)
        self.raw = raw

    def _serialize_properties(self) -> bytes:
        return self.raw


def table(items: bytes) -> bytes:
    """A table of headers."""
    return struct.pack('>I', len(items)) + items


def nested(depth: int) -> bytes:
    """A table of headers that holds a table, and so on."""
    found = table(b'')
    for _ in range(depth):
        found = table(b'\x01aF' + found)
    return found
