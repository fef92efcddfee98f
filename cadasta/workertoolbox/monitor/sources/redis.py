"""Redis: read messages without taking them off the queue, and take them off once they are stored.

kombu's own consumer takes a message off its list, and then saves it in another place. If the process is killed in
between, the message is lost. If the monitor does not acknowledge a message in time, some worker publishes it again,
into the work queue as well, and its task runs twice. Neither can happen to a message that stays in its queue. Two
monitors may read the same message, but they store it once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import redis
from kombu import Connection

from ...seams.redis import client_of, lists_of
from ..bounds import KEPT, MAX_ENVELOPE
from ..message import Message, cut_off, from_envelope
from .base import MAX_BATCH_BYTES, Limits, within_memory

# Returns the oldest messages of the queue, as many as the limits allow. The queue has a list for each step of priority.
# If a message is too long, it returns the beginning, the size, and a digest by which `_REMOVE` knows the message.
_PEEK = """
local count, size, longest, kept = unpack(ARGV)
count, size, longest, kept = tonumber(count), tonumber(size), tonumber(longest), tonumber(kept)
local messages = {}
for list, key in ipairs(KEYS) do
    local index = -1
    while count > 0 and size > 0 do
        local message = redis.call('LINDEX', key, index)
        if not message then break end
        if #message > longest then
            messages[#messages + 1] = {list, string.sub(message, 1, kept), #message, redis.sha1hex(message)}
        else
            messages[#messages + 1] = {list, message}
        end
        count, size, index = count - 1, size - #message, index - 1
    end
end
return messages
"""
# Removes the oldest message of a list that has a digest, and is too long to be read.
_REMOVE = """
local index, longest = -1, tonumber(ARGV[2])
while true do
    local message = redis.call('LINDEX', KEYS[1], index)
    if not message then return end
    if #message > longest and redis.sha1hex(message) == ARGV[1] then
        redis.call('LREM', KEYS[1], -1, message)
        return
    end
    index = index - 1
end
"""


class RedisSource:
    """Reads messages from the lists in which kombu keeps a queue."""

    def __init__(self, connection: Connection, channel: Any, queue: str, limits: Limits) -> None:
        self.errors = (*connection.connection_errors, *connection.channel_errors, redis.RedisError)
        self._limits = limits
        self._lists = lists_of(channel, queue)
        self._client = client_of(channel)
        self._peek = self._client.register_script(_PEEK)
        self._remove = self._client.register_script(_REMOVE)
        self._may_rest = False
        self.mark()

    def receive(self) -> Sequence[Message]:
        if self._may_rest:
            self._limits.sleep(self._limits.linger)
        found = self._peek(self._lists, [self._limits.batch, MAX_BATCH_BYTES, MAX_ENVELOPE, KEPT])
        self._may_rest = len(found) < self._limits.batch
        return list(within_memory(self._message(*parts) for parts in found))

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        """Fetch nothing: a read would return the messages of the current batch, which are still in the queue."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for message in messages:
                key, raw, digest = message.receipt
                if digest is None:
                    pipeline.lrem(key, -1, raw)
                else:
                    self._remove([key], [digest, MAX_ENVELOPE], client=pipeline)
                self._backlog[key] -= 1
            pipeline.execute()

    def hold(self, messages: Sequence[Message], seconds: float) -> None:
        self._limits.sleep(seconds)

    def release(self, messages: Sequence[Message]) -> None:
        """Do nothing: the messages never left the queue."""

    def waiting(self) -> int:
        return sum(self._client.llen(key) for key in self._lists)

    def mark(self) -> None:
        # Each list gives its oldest messages first. A list of a higher priority is read before the others.
        self._backlog = {key: self._client.llen(key) for key in self._lists}

    def has_backlog(self) -> bool:
        return any(left > 0 for left in self._backlog.values())

    def _message(self, number: int, raw: bytes, size: int = 0, digest: bytes | None = None) -> Message:
        receipt = self._lists[number - 1], raw, digest
        return from_envelope(receipt, raw) if digest is None else cut_off(receipt, raw, size)
