"""Every other transport of kombu: get messages one by one."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kombu import Connection
from kombu.transport import virtual
from kombu.utils.json import dumps

from ..message import Message, from_envelope
from .base import MAX_BATCH_BYTES, Limits


class _Held:
    """An unacknowledged message of a channel. It replaces the message class of the channel.

    A `kombu.transport.virtual.Message` would decompress a body of any size. To give it back, the channel would publish
    it again, into the work queue as well. A message of this class goes back to its own queue alone.
    """

    def __init__(self, queue: str, payload: dict[str, Any], channel: virtual.Channel) -> None:
        self.payload = payload
        # A message has a tag of its own only if kombu published it. Another client may leave it out, or use one twice.
        self.delivery_tag = id(self)
        self.delivery_info = {'exchange': '', 'routing_key': queue}

    def serializable(self) -> dict[str, Any]:
        return self.payload


class VirtualSource:
    """Gets messages from a virtual transport, and acknowledges them one by one."""

    def __init__(self, connection: Connection, channel: Any, queue: str, limits: Limits) -> None:
        self.errors = (*connection.connection_errors, *connection.channel_errors)
        channel.Message = partial(_Held, queue)
        self._channel = channel
        self._queue = queue
        self._limits = limits
        self._interval = connection.transport.polling_interval or 0.1
        self.mark()

    def receive(self) -> Sequence[Message]:
        batch: list[Message] = []
        size = 0
        while len(batch) < self._limits.batch and size < MAX_BATCH_BYTES:
            held = self._channel.basic_get(self._queue)
            if held is None:
                break
            batch.append(from_envelope(held.delivery_tag, dumps(held.payload)))
            size += batch[-1].memory
        if not batch:
            self._limits.sleep(self._interval)
        self._backlog -= len(batch)
        return batch

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        """Fetch nothing: the source would have to give back a message that it fetched too early."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._channel.basic_ack(message.receipt)

    def hold(self, messages: Sequence[Message], seconds: float) -> None:
        self._limits.sleep(seconds)

    def release(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._channel.basic_reject(message.receipt, requeue=True)

    def waiting(self) -> int:
        count: int = self._channel.queue_declare(self._queue, passive=True).message_count
        return count

    def mark(self) -> None:
        # The queue gives its oldest messages first.
        self._backlog = self.waiting()

    def has_backlog(self) -> bool:
        return self._backlog > 0
