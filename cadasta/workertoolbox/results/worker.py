"""A worker prepares itself before it starts, so that each of its tasks runs once."""

from typing import Any

from celery import bootsteps

from ..seams.celery_pool import spawns
from ..seams.celery_worker import trace_again

# `unlocks` listens to a signal.
from . import identity, unlocks, waiting  # noqa: F401  # its import connects it
from .guard import guard


class Prepare(bootsteps.Step):
    """A step of a worker: it takes a name for its claims, and guards its tasks, before its pool starts a process."""

    def create(self, parent: Any) -> None:
        """Prepare the worker."""
        identity.take_name(parent.hostname)
        waiting.prepare(spawns(parent))
        guard(parent.app)


def prepare_child(app: Any, hostname: str) -> None:
    """Prepare a child of a worker. One that was forked is prepared already, and one that was spawned is not.

    :param app: the app of the worker.
    :param hostname: the name of the worker.
    """
    waiting.join()
    if guard(app):
        trace_again(app, hostname)
