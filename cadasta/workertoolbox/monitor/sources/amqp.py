"""RabbitMQ: a consumer that acknowledges all messages of a batch at once."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kombu import Connection

from ...seams.amqp_frames import BODY_SIZE, HEADER_SIZE, REASON, UNREAD
from ..message import Message, too_long
from .base import MAX_BATCH_BYTES, PATIENCE, Limits, within_memory

# A wait of this many seconds is long enough to spare the processor, and too short to delay an acknowledgement.
_GLANCE = 0.005
#: While the database is away, the monitor reads ahead until its messages may need this much memory, in bytes.
MAX_HELD_BYTES = 4 * MAX_BATCH_BYTES
# The values of a header need up to twenty times its size. What Celery sends is smaller than the first number, in bytes.
_USUAL_HEADER, _GROWTH = 2_048, 20


class AMQPSource:
    """Takes messages as py-amqp delivers them.

    A `kombu.Message` would decompress a body of any size before the monitor could check it.
    """

    def __init__(self, connection: Connection, channel: Any, queue: str, limits: Limits) -> None:
        self.errors = (*connection.connection_errors, *connection.channel_errors)
        self._connection = connection
        self._channel = channel
        self._queue = queue
        self._limits = limits
        self._pending: list[Message] = []
        # The memory of the messages that are pending, and of those that the monitor is storing.
        self._pending_memory = 0
        self._stored_memory = 0
        channel.auto_decode = False
        self.mark()
        # The monitor stores one batch and has fetched another ahead, and a third is on its way.
        channel.basic_qos(0, 3 * limits.batch, False)
        channel.basic_consume(queue, callback=self._on_message)

    def receive(self) -> Sequence[Message]:
        self._stored_memory = 0
        self._connection.heartbeat_check()
        if not self._pending:
            self._drain(PATIENCE)
        deadline = time.monotonic() + self._limits.linger
        while self._pending and not self._is_full() and not self._limits.stopping():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._drain(min(left, PATIENCE))
        batch = list(within_memory(self._pending[: self._limits.batch]))
        self._pending = self._pending[len(batch) :]
        self._stored_memory = sum(message.memory for message in batch)
        self._pending_memory -= self._stored_memory
        self._backlog -= len(batch)
        return batch

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        while not enough() and not self._is_full():
            self._drain(_GLANCE)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self._channel.basic_ack(messages[-1].receipt, multiple=True)

    def hold(self, messages: Sequence[Message], seconds: float) -> None:
        """Wait, and let RabbitMQ know that the monitor is there.

        RabbitMQ closes a connection on which nobody reads what it sends. So this reads the messages that are on their
        way, as far as they fit into memory.
        """
        end = time.monotonic() + seconds
        while True:
            self._connection.heartbeat_check()
            nap = max(_GLANCE, min(end - time.monotonic(), PATIENCE))
            if self._stored_memory + self._pending_memory < MAX_HELD_BYTES:
                self._drain(nap)
            else:
                time.sleep(nap)
            if time.monotonic() >= end or self._limits.stopping():
                return

    def release(self, messages: Sequence[Message]) -> None:
        """Do nothing: RabbitMQ takes back the unacknowledged messages when the connection closes."""

    def waiting(self) -> int:
        count: int = self._channel.queue_declare(self._queue, passive=True).message_count
        return count

    def mark(self) -> None:
        # The queue gives its oldest messages first. The answer comes behind those that are on their way.
        self._backlog = self.waiting() + len(self._pending)

    def has_backlog(self) -> bool:
        return self._backlog > 0

    def _is_full(self) -> bool:
        return len(self._pending) >= self._limits.batch or self._stored_memory + self._pending_memory >= MAX_BATCH_BYTES

    def _drain(self, seconds: float) -> None:
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=seconds)

    def _on_message(self, message: Any) -> None:
        properties = message.properties
        headers = properties.pop('application_headers', None) or {}
        body = message.body
        if isinstance(body, str):
            body = body.encode()
        memory = 2 * len(body) + _GROWTH * max(0, properties.pop(HEADER_SIZE, 0) - _USUAL_HEADER)
        problem = too_long(properties.pop(BODY_SIZE)) if BODY_SIZE in properties else None
        if UNREAD in properties:
            problem = f'its properties cannot be read: {properties[REASON]}'
            body = _whole(properties[UNREAD], body)
        self._pending_memory += memory
        routing_key = message.delivery_info['routing_key']
        self._pending.append(Message(message.delivery_tag, body, headers, properties, routing_key, problem, memory))


def _whole(properties: bytes, body: bytes) -> bytes:
    parts = {'properties': properties, 'body': body}
    return json.dumps({name: base64.b64encode(part).decode() for name, part in parts.items()}).encode()
