"""RabbitMQ: a consumer that acknowledges all messages of a batch at once."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kombu import Connection

from ...seams.amqp_frames import REASON, UNREAD
from ..message import Message
from .base import MAX_BATCH_BYTES, PATIENCE, Limits

# A wait of this many seconds is long enough to spare the processor, and too short to delay an acknowledgement.
_GLANCE = 0.005


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
        self._pending_bytes = 0
        channel.auto_decode = False
        self.mark()
        # The monitor stores one batch and has fetched another ahead, and a third is on its way.
        channel.basic_qos(0, 3 * limits.batch, False)
        channel.basic_consume(queue, callback=self._on_message)

    def receive(self) -> Sequence[Message]:
        self._connection.heartbeat_check()
        if not self._pending:
            self._drain(PATIENCE)
        deadline = time.monotonic() + self._limits.linger
        while self._pending and not self._is_full() and not self._limits.stopping():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._drain(min(left, PATIENCE))
        batch, self._pending, self._pending_bytes = self._pending, [], 0
        self._backlog -= len(batch)
        return batch

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        while not enough() and not self._is_full():
            self._drain(_GLANCE)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self._channel.basic_ack(messages[-1].receipt, multiple=True)

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
        return len(self._pending) >= self._limits.batch or self._pending_bytes >= MAX_BATCH_BYTES

    def _drain(self, seconds: float) -> None:
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=seconds)

    def _on_message(self, message: Any) -> None:
        properties = message.properties
        headers = properties.pop('application_headers', None) or {}
        body = message.body
        if isinstance(body, str):
            body = body.encode()
        problem = None
        if UNREAD in properties:
            problem = f'its properties cannot be read: {properties[REASON]}'
            body = _whole(properties[UNREAD], body)
        self._pending_bytes += len(body)
        self._pending.append(
            Message(message.delivery_tag, body, headers, properties, message.delivery_info['routing_key'], problem)
        )


def _whole(properties: bytes, body: bytes) -> bytes:
    parts = {'properties': properties, 'body': body}
    return json.dumps({name: base64.b64encode(part).decode() for name, part in parts.items()}).encode()
