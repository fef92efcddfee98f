"""A worker prepares itself before it starts, so that each of its tasks runs once."""

from typing import Any

from celery import bootsteps

# `unlocks` listens to a signal.
from . import identity, unlocks, waiting  # noqa: F401
from .guard import guard


class Prepare(bootsteps.Step):
    """A step of a worker: it takes a name for its claims, and guards its tasks, before its pool starts a process."""

    def create(self, parent: Any) -> None:
        """Prepare the worker."""
        identity.take_name(parent.hostname)
        waiting.prepare()
        guard(parent.app)
