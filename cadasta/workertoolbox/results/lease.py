"""A worker vouches for the tasks that it runs, by renewing their leases, and terminates those that were cancelled."""

import logging
import threading
from typing import Any

from celery import bootsteps
from sqlalchemy.exc import DBAPIError

from ..database.faults import Fault, explained, fault_of
from ..seams.celery_pool import active, can_terminate
from .claim import COLUMNS

logger = logging.getLogger(__name__)

#: How often a worker renews its leases, in seconds.
EVERY = 20.0
# How soon it tries again where the database is away.
_SOON = 1.0


class Leases(bootsteps.StartStopStep):
    """A step of a worker: a thread of its main process, whatever its pool is busy with.

    It goes on while the pool finishes what it runs, and ends with the worker.
    """

    requires = ('celery.worker.components:Pool',)

    def start(self, parent: Any) -> None:
        """Start the thread."""
        threading.Thread(target=self._renew_until_the_end, args=(parent,), name='leases', daemon=True).start()

    def _renew_until_the_end(self, worker: Any) -> None:
        pause = threading.Event()
        has_said = False
        trouble = ''
        running_on: set[str] = set()
        while worker.blueprint.state != bootsteps.TERMINATE:
            wait = EVERY
            try:
                if not has_said:
                    self._say_what_is_missing(worker.app)
                    has_said = True
                if requests := active():
                    running_on &= requests.keys()
                    for task_id in worker.app.backend.renew(set(requests)):
                        _terminate(worker, requests[task_id], running_on)
                trouble = ''
            except Exception as error:
                trouble = _say_once(error, trouble)
                wait = min(EVERY, _SOON)
            pause.wait(wait)

    @staticmethod
    def _say_what_is_missing(app: Any) -> None:
        if app.conf.get('RUN_ONCE') and not app.backend.can_claim():
            logger.warning(
                'The table of results has no columns for claims (%s): tasks run, and may run twice. Run `celery '
                'toolbox tables` with a role that may change the table, and restart the workers.',
                ', '.join(COLUMNS),
            )


def _say_once(error: Exception, said: str) -> str:
    """Say what keeps the leases from being renewed, unless the log says so already.

    :returns: what was said.
    """
    why, level = str(error), logging.WARNING
    if isinstance(error, DBAPIError):
        why = explained(error)
        level = logging.ERROR if fault_of(error) is Fault.REFUSED else level
    if why != said:
        logger.log(level, 'The leases of running tasks cannot be renewed: %s', why)
    return why


def _terminate(worker: Any, request: Any, running_on: set[str]) -> None:
    """Terminate a task that was cancelled, in the main loop, which acknowledges the message.

    :param running_on: the cancelled tasks of which the log says already that they run on.
    """
    if can_terminate(worker.pool):
        logger.warning('Task %s[%s] was cancelled, and is terminated', request.name, request.id)
        worker.consumer.call_soon(request.terminate, worker.pool)
    elif request.id not in running_on:
        running_on.add(request.id)
        logger.warning(
            'Task %s[%s] was cancelled, and runs on: only a prefork pool can terminate it. Its result will be dropped',
            request.name,
            request.id,
        )
