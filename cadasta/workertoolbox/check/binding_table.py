"""Redis and the filesystem: a queue exists only while it has messages, but kombu keeps a table of its bindings."""

from collections.abc import Iterator
from typing import Any

from kombu import Queue

from ..seams.kombu_virtual import bindings_to, waiting
from ..topology import bindings_of
from .finding import Problem
from .platform_queue import Depth


class BindingTable:
    """Looks for queues that have no binding in the table.

    :param channel: a channel of the transport.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def obstacles(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def problems(self, queues: list[Queue]) -> Iterator[Problem]:
        for queue in queues:
            for exchange, key in bindings_of(queue):
                if (key, queue.name) not in bindings_to(self._channel, exchange.name):
                    yield Problem(
                        f'queue {queue.name!r}',
                        f'it has no binding to exchange {exchange.name!r} with routing key {key!r}',
                        'Start a worker, or call cadasta.workertoolbox.setup.setup_app(app): both add the missing '
                        'binding.',
                    )

    def depth(self, queue: str) -> Depth:
        return Depth(waiting(self._channel, queue))
