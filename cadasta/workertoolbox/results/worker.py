"""What a worker does before it starts, so that each of its tasks runs once."""

from typing import Any

from celery import bootsteps

from . import identity, waiting
from .guard import guard
from .lease import Leases
from .limits import Limits


class Preparation(bootsteps.Step):
    """A step of a worker: it changes the process and the tasks, before the worker starts anything.

    A rehearsal of a worker makes no steps, so it leaves the process and the tasks as they were.
    """

    def create(self, parent: Any) -> None:
        """Give the worker its name, and guard its tasks."""
        identity.take_name(parent.hostname)
        waiting.prepare()
        guard(parent.app)


def prepare(worker: Any) -> None:
    """Prepare a worker that stores results in a database.

    :param worker: the worker, which is about to make its steps; the sender of ``worker_init``.
    """
    worker.app.steps['worker'].update((Preparation, Leases, Limits))
