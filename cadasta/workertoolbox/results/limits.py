"""The time limits of a task do not run while its result waits for the database."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from celery import bootsteps

from .waiting import waited

# Shorter waits are not worth a second look.
_NEGLIGIBLE = 0.5


class Limits(bootsteps.StartStopStep):
    """A step of a worker with a prefork pool: what a child has waited for its database is added to its limits."""

    requires = ('celery.worker.components:Pool',)

    def start(self, parent: Any) -> None:
        """Put off the limits of the pool."""
        pool = getattr(parent.pool, '_pool', None)
        handler = getattr(pool, '_timeout_handler', None)
        if handler is None:
            return
        for name in ('on_soft_timeout', 'on_hard_timeout'):
            put_off = _put_off(getattr(handler, name), parent.timer)
            # A pool without an event loop looks at its handler, the other at itself.
            setattr(handler, name, put_off)
            setattr(pool, name, put_off)


def _put_off(act: Callable[[Any], None], timer: Any) -> Callable[[Any], None]:
    granted: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
    put_off: set[Any] = set()

    def on_timeout(job: Any) -> None:
        if job._job in put_off:
            return
        seconds, is_waiting = waited(job._worker_pid)
        more = seconds - granted.get(job, 0.0)
        if is_waiting or more > _NEGLIGIBLE:
            granted[job] = seconds
            put_off.add(job._job)
            timer.call_after(max(more, _NEGLIGIBLE), again, (job,))
        elif not job.ready():
            act(job)

    def again(job: Any) -> None:
        put_off.discard(job._job)
        if not job.ready():
            on_timeout(job)

    return on_timeout
