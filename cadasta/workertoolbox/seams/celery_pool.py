"""Celery: what a worker runs, and the time limits of its pool."""

from collections.abc import Callable
from typing import Any

from billiard import get_start_method
from celery.concurrency import ALIASES
from celery.concurrency.prefork import TaskPool as Prefork
from celery.worker import state


def active() -> dict[str, Any]:
    """List the requests that the pool of this worker works at.

    It uses ``celery.worker.state.active_requests``, from which ``inspect active`` answers.

    :returns: the requests, by the ids of their tasks.
    """
    # Another thread may add a request while this one reads the set, and Python raises a RuntimeError then.
    while True:
        try:
            return {request.id: request for request in state.active_requests}
        except RuntimeError:
            continue


def is_reserved(task_id: str) -> bool:
    """Tell whether this worker has given a task to its pool, or is about to.

    It uses ``celery.worker.state.reserved_requests``, from which ``inspect reserved`` answers.

    :param task_id: the id of the task.
    """
    return any(request.id == task_id for request in list(state.reserved_requests))


def held() -> int:
    """Count the messages that this worker holds.

    They are those of the tasks that it runs, has prefetched, or that wait for their ``eta``. It uses
    ``celery.worker.state.reserved_requests`` and ``scheduled_requests``.
    """
    return len(state.reserved_requests) + len(state.scheduled_requests)


def accepted() -> int:
    """Count the tasks that this worker has started since its own start.

    It uses ``celery.worker.state.all_total_count``.
    """
    count: int = state.all_total_count[0]
    return count


def name_of(pool: Any) -> str:
    """Tell the name by which ``celery worker --pool`` knows a pool; the name of its module, if it is not Celery's.

    It uses ``celery.concurrency.ALIASES``.

    :param pool: the pool of a worker.
    """
    module = type(pool).__module__
    return next((name for name, path in ALIASES.items() if str(path).partition(':')[0] == module), module)


def spawns(worker: Any) -> bool:
    """Tell whether children of a worker may be new processes instead of forks.

    It uses ``worker.pool_start_method``, which has the option of that name, and billiard's own start method, which a
    platform may decide.

    :param worker: the worker.
    """
    return {worker.pool_start_method, get_start_method()} != {'fork'}


def can_terminate(pool: Any) -> bool:
    """Tell whether a pool can terminate a task that runs.

    It uses the class of the prefork pool. Other pools have no attribute that tells.

    :param pool: the pool of a worker.
    """
    return isinstance(pool, Prefork)


def replace_timeouts(pool: Any, replace: Callable[[Callable[[Any], None]], Callable[[Any], None]]) -> None:
    """Replace what a prefork pool does when a task exceeds a time limit. Other pools have no time limits.

    It uses the pool of billiard and its handler of timeouts. Without an event loop, the handler calls its own methods;
    with one, Celery calls those of the pool.

    :param pool: the pool of a worker.
    :param replace: gets the method for the soft or the hard limit, which takes a `job`, and gives another.
    """
    inner = getattr(pool, '_pool', None)
    handler = getattr(inner, '_timeout_handler', None)
    if handler is None:
        return
    for name in ('on_soft_timeout', 'on_hard_timeout'):
        replaced = replace(getattr(handler, name))
        setattr(handler, name, replaced)
        setattr(inner, name, replaced)


def number_of(job: Any) -> int:
    """Tell the number of a job of a prefork pool, which no other job of the pool has.

    It uses ``_job`` of billiard's result.
    """
    number: int = job._job
    return number


def process_of(job: Any) -> int:
    """Tell the id of the process that works at a job of a prefork pool.

    It uses ``_worker_pid`` of billiard's result.
    """
    pid: int = job._worker_pid
    return pid
