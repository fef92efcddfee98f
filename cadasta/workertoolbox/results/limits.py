"""The time limits of a task do not run while its result waits for the database."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from celery import bootsteps

from ..seams.celery_pool import number_of, process_of, replace_timeouts
from .waiting import waited

# Shorter waits are not worth a second look.
_NEGLIGIBLE = 0.5


class Limits(bootsteps.StartStopStep):
    """A step of a worker with a prefork pool: what a child has waited for its database is added to its limits."""

    requires = ('celery.worker.components:Pool',)

    def start(self, parent: Any) -> None:
        """Put off the limits of the pool."""
        replace_timeouts(parent.pool, lambda act: _put_off(act, parent.timer))


def _put_off(act: Callable[[Any], None], timer: Any) -> Callable[[Any], None]:
    granted: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
    put_off: set[Any] = set()

    def on_timeout(job: Any) -> None:
        if number_of(job) in put_off:
            return
        seconds, is_waiting = waited(process_of(job))
        more = seconds - granted.get(job, 0.0)
        if is_waiting or more > _NEGLIGIBLE:
            granted[job] = seconds
            put_off.add(number_of(job))
            timer.call_after(max(more, _NEGLIGIBLE), again, (job,))
        elif not job.ready():
            act(job)

    def again(job: Any) -> None:
        put_off.discard(number_of(job))
        if not job.ready():
            on_timeout(job)

    return on_timeout
