"""What a worker does before it starts, so that each of its tasks runs once."""

from typing import Any

from ..seams.celery_pool import spawns
from ..seams.celery_worker import trace_again
from . import identity, waiting
from .guard import guard
from .lease import Leases
from .limits import Limits


def prepare(worker: Any) -> None:
    """Prepare a worker that stores results in a database.

    :param worker: the worker, which is about to make its steps; the sender of ``worker_init``.
    """
    identity.take_name(worker.hostname)
    waiting.prepare(spawns(worker))
    guard(worker.app)
    worker.app.steps['worker'].update((Leases, Limits))


def prepare_child(app: Any, hostname: str) -> None:
    """Prepare a child of a worker. A child that was forked is prepared already, and one that was spawned is not.

    :param app: the app of the worker.
    :param hostname: the name of the worker.
    """
    waiting.join()
    if guard(app):
        trace_again(app, hostname)
