"""Redis: kombu keeps the time of each delivery in a sorted set."""

import time
from collections.abc import Iterable
from typing import Any

from kombu import Queue

from ..seams.kombu_held import held

#: The most messages whose leases are renewed by one command.
BATCH = 1000


class RedisLeases:
    """Renews the leases of what a channel of kombu's Redis transport holds.

    :param channel: the channel that a worker consumes with.
    :param queues: not used: the visibility timeout is the workers' own.
    """

    def __init__(self, channel: Any, queues: Iterable[Queue]) -> None:
        self._channel = channel

    def seconds(self) -> float:
        """Tell how long a message stays with its worker unless its lease is renewed."""
        return float(self._channel.visibility_timeout)

    def renew(self) -> None:
        """Renew the leases of all messages that the channel holds."""
        tags = list(held(self._channel))
        for start in range(0, len(tags), BATCH):
            with self._channel.conn_or_acquire() as client:
                # A message that was acknowledged meanwhile is no longer in the set, and must not come back into it.
                times = dict.fromkeys(tags[start : start + BATCH], time.time())
                client.zadd(self._channel.unacked_index_key, times, xx=True)
