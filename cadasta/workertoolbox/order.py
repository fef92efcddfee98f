"""The order in which a message reaches its queues on transports where kombu itself does the routing.

kombu collects the queues in a set, so the hash seed of the process decides which of them comes first. If the platform
queue comes second and refuses the message, `delay` raises an error, but a worker has the task already and runs it
untracked. RabbitMQ does the routing itself, and gives the message to all queues or to none.
"""

from typing import Any

from kombu.transport.virtual.exchange import TopicExchange


class PlatformFirst(TopicExchange):
    """A topic exchange that serves platform queues before all others.

    :param channel: the channel whose messages it delivers.
    """

    def __init__(self, channel: Any) -> None:
        super().__init__(channel)
        # Two apps may share connections, and each app may have a platform queue of its own.
        self.platforms: set[str] = set()

    def lookup(self, table: Any, exchange: str, routing_key: str, default: str | None) -> list[str]:
        """List the queues that get a message with this routing key, in the order in which they get it."""
        queues = set(super().lookup(table, exchange, routing_key, default))
        return [*sorted(queues & self.platforms), *sorted(queues - self.platforms)]


def serve_first(channel: Any, platform: str) -> None:
    """Let a channel serve the platform queue first.

    :param channel: a channel of one of kombu's virtual transports.
    :param platform: the name of the platform queue.

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
