"""States that the main process of a worker stores: of tasks that expired, were killed, or are unknown to it.

The main process must stay alive to signals and to its broker, so that a thread waits for the database in its place.
"""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from queue import SimpleQueue

from celery import current_task

from .waiting import is_main_process

logger = logging.getLogger(__name__)

#: How long the main process waits for a state to be stored before it goes on, in seconds.
PATIENCE = 1.0


class Keeper:
    """A thread that stores states, one after the other."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._queue: SimpleQueue[tuple[Callable[[], None], Future[None]]] = SimpleQueue()
        self._is_late = False
        threading.Thread(target=self._run, name='results-keeper', daemon=True).start()

    def store(self, what: str, store: Callable[[], None]) -> None:
        """Have a state stored; do not wait if the database is away.

        :param what: the state and the task, for the log.
        :param store: stores the state.
        :raises Exception: what `store` raises, if it does so soon.
        """
        future: Future[None] = Future()
        self._queue.put((store, future))
        try:
            future.result(0 if self._is_late else PATIENCE)
        except NotYet:
            self._is_late = True
            logger.warning('The result database is away: %s will be stored when it is back', what)

    def _run(self) -> None:
        while True:
            store, future = self._queue.get()
            try:
                store()
            except BaseException as error:
                if self._is_late:
                    logger.warning('A state was not stored: %s', error)
                future.set_exception(error)
            else:
                future.set_result(None)
            self._is_late = self._is_late and not self._queue.empty()


_keeper: Keeper | None = None


def is_needed() -> bool:
    """Tell whether the caller is the main loop of a worker, and no task."""
    return is_main_process() and threading.current_thread() is threading.main_thread() and not current_task


def store(what: str, function: Callable[[], None]) -> None:
    """Store a state by the keeper of this process; see `Keeper.store`."""
    global _keeper
    if _keeper is None or _keeper.process != os.getpid():
        _keeper = Keeper()
    _keeper.store(what, function)
