"""Redis and the filesystem: queues come and go with their messages, and what stays is a table of bindings."""

from collections.abc import Iterator
from typing import Any

from kombu import Connection, Queue

from ..picture.model import bindings_of
from .draining import Depth
from .finding import Problem


def problems(connection: Connection, channel: Any, queues: list[Queue], platform: str) -> Iterator[Problem]:
    """Look for queues that nobody has bound.

    :param connection: not used.
    :param channel: a channel.
    :param queues: the app's queues.
    :param platform: not used.
    :returns: the problems.
    """
    for queue in queues:
        for exchange, key in bindings_of(queue):
            if (key, queue.name) not in {(bound, name) for bound, _, name in channel.get_table(exchange.name)}:
                yield Problem(
                    f'queue {queue.name!r}', f'nobody has bound it to exchange {exchange.name!r} by the key {key!r}',
                    'Start a worker, or call cadasta.workertoolbox.setup.setup_app(app): both bind what is not bound.')


def depth(connection: Connection, channel: Any, queue: str) -> Depth:
    """Count the messages that wait in a queue.

    :param connection: not used.
    :param channel: a channel.
    :param queue: the name of the queue.
    :returns: the count.
    """
    return Depth(channel._size(queue))
