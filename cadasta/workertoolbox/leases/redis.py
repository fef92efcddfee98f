"""Redis: kombu keeps the time of each delivery in a sorted set."""

import time
from collections.abc import Iterable
from typing import Any

from kombu import Queue

from ..seams.kombu_held import held

#: One command renews the leases of this many messages at most.
BATCH = 1000


class RedisLeases:
    """Renews the leases of the messages that a channel of kombu's Redis transport holds.

    :param channel: the channel that a worker consumes with.
    :param queues: not used, because in Redis the workers decide the visibility timeout, and not the queue.
    """

    def __init__(self, channel: Any, queues: Iterable[Queue]) -> None:
        self._channel = channel

    def seconds(self) -> float:
        """Tell how long a message stays with its worker if nobody renews its lease."""
        return float(self._channel.visibility_timeout)

    def renew(self) -> None:
        """Renew the leases of all messages that the channel holds."""
        tags = list(held(self._channel))
        for start in range(0, len(tags), BATCH):
            with self._channel.conn_or_acquire() as client:
                # The worker may have acknowledged a message in the meantime. `xx` leaves such a message out of the set.
                times = dict.fromkeys(tags[start : start + BATCH], time.time())
                client.zadd(self._channel.unacked_index_key, times, xx=True)
