"""Ask the broker for the platform queue, the work queues of the app, and those that workers said they consume."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from celery import Celery

from ..check.broker import connection_to
from ..check.platform_queue import Depth
from ..mending.held import DeadLetters, WorkQueues

#: So many queues are asked for that the app does not know.
MOST = 200


class Queues(NamedTuple):
    """The queues, as the broker sees them.

    :param platform: the platform queue; `None` where there is none, or the broker tells nothing.
    :param work: the work queues that are there, by name.
    :param dead_letters: the messages that the broker has given up.
    """

    platform: Depth | None
    work: Mapping[str, Depth]
    dead_letters: tuple[DeadLetters, ...] = ()


def look(app: Celery, reported: Iterable[str]) -> Queues:
    """Ask the broker.

    :param app: an app that is configured by a `cadasta.workertoolbox.conf.Config`.
    :param reported: the names of the queues that workers said they consume.
    :raises NotConfigured: where the app is configured by something else.
    :raises Exception: what the client of the broker raises.
    """
    with connection_to(app) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)
        queues = WorkQueues(app, connection)
        return Queues(queues.untracked(), queues.depths(sorted(reported)[:MOST]), tuple(queues.dead_letters()))
