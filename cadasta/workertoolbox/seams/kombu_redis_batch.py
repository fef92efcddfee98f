"""kombu: the bindings that its transport for Redis looks up for each message, and the batch of its producer."""

from typing import Any

from kombu.transport import redis


class _Batch(redis.PublishBatch):
    def close(self) -> None:
        super().close()
        self.channel.tables = None


class RememberingChannel(redis.Channel):
    """A channel that asks Redis once in a batch for the bindings of an exchange.

    It overrides ``create_publish_batch`` and ``get_table``, and derives from ``PublishBatch``. kombu's own batch saves
    the calls that put messages into Redis, and makes a call for each message that asks where it goes.
    """

    #: The bindings by exchange that this batch knows.
    tables: dict[str, Any] | None = None

    def create_publish_batch(self, max_size: int) -> Any:
        """Make what the producer puts the messages of a batch into."""
        made = _Batch(self, max_size)
        self.tables = {}
        return made

    def get_table(self, exchange: str) -> Any:
        """Look up the bindings of an exchange."""
        if self.tables is None:
            return super().get_table(exchange)
        if exchange not in self.tables:
            self.tables[exchange] = super().get_table(exchange)
        return self.tables[exchange]
