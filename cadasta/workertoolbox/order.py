"""The order in which a message reaches its queues on transports where kombu itself does the routing.

kombu collects the queues in a set, so the hash seed of the process decides which of them comes first. If the platform
queue comes second and refuses the message, `delay` raises an error, but a worker has the task already and runs it
untracked. RabbitMQ does the routing itself, and gives the message to all queues or to none.
"""

from collections.abc import Iterable
from typing import Any

from kombu.exceptions import InconsistencyError
from kombu.transport.virtual.exchange import TopicExchange


class PlatformFirst(TopicExchange):
    """A topic exchange that serves platform queues before all others.

    :param channel: the channel whose messages it delivers.
    """

    def __init__(self, channel: Any) -> None:
        super().__init__(channel)
        # Two apps may share connections, and each app may have a platform queue of its own.
        self.platforms: set[str] = set()
        # The platform queues that are bound to each exchange.
        self._bound: dict[str, set[str]] = {}

    def bind(self, exchange: str, platform: str) -> None:
        """Remember that a platform queue gets all messages of an exchange."""
        self._bound.setdefault(exchange, set()).add(platform)

    def lookup(self, table: Any, exchange: str, routing_key: str, default: str | None) -> list[str]:
        """List the queues that get a message with this routing key, in the order in which they get it.

        :raises InconsistencyError: where somebody has deleted the binding of the platform queue. kombu connects again
            then, and all bindings are declared anew.
        """
        queues = set(super().lookup(table, exchange, routing_key, default))
        missing = self._bound.get(exchange, set()) - queues
        if missing:
            raise InconsistencyError(
                f'Somebody has deleted the binding of {", ".join(sorted(missing))} to exchange {exchange!r}'
            )
        return [*sorted(queues & self.platforms), *sorted(queues - self.platforms)]


def serve_first(channel: Any, platform: str, exchanges: Iterable[str] = ()) -> None:
    """Let a channel serve the platform queue first.

    :param channel: a channel of one of kombu's virtual transports.
    :param platform: the name of the platform queue.
    :param exchanges: the exchanges whose every message it gets.

    >>> from kombu import Connection
    >>> with Connection('memory://') as connection:
    ...     channel = connection.default_channel
    ...     serve_first(channel, 'platform.fifo')
    ...     table = [('#', '^.*?$', 'platform.fifo'), ('export', '^export$', 'export')]
    ...     channel.exchange_types['topic'].lookup(table, 'task_exchange', 'export', None)
    ['platform.fifo', 'export']
    """
    topic = channel.exchange_types['topic']
    # Some transports replace the topic exchange and deliver in another way: this function leaves them alone.
    if type(topic) is TopicExchange:
        topic = channel.exchange_types['topic'] = PlatformFirst(channel)
    if isinstance(topic, PlatformFirst):
        topic.platforms.add(platform)
        for exchange in exchanges:
            topic.bind(exchange, platform)
