"""Redis and the filesystem: queues come and go with their messages, and what stays is a table of bindings."""

from collections.abc import Iterator
from typing import Any

from kombu import Queue

from ..diagram.contents import bindings_of
from .finding import Problem
from .platform_queue import Depth


class Bindings:
    """Looks for queues that nobody has bound.

    :param channel: a channel.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def problems(self, queues: list[Queue]) -> Iterator[Problem]:
        for queue in queues:
            for exchange, key in bindings_of(queue):
                bound = {(bound_by, name) for bound_by, _, name in self._channel.get_table(exchange.name)}
                if (key, queue.name) not in bound:
                    yield Problem(
                        f'queue {queue.name!r}',
                        f'nobody has bound it to exchange {exchange.name!r} by the key {key!r}',
                        'Start a worker, or call cadasta.workertoolbox.setup.setup_app(app): both bind what is not '
                        'bound.',
                    )

    def depth(self, queue: str) -> Depth:
        return Depth(self._channel._size(queue))
