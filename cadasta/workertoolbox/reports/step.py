"""The bootstep of a worker that reports, from its start to its end."""

import atexit
import logging
import os
import platform
import socket
import threading
import time
import uuid
from typing import Any

import celery
import kombu
from celery import bootsteps

from .. import __version__
from ..seams.celery_pool import accepted, active, held, name_of
from ..settings.credentials import masked
from .message import MAX_QUEUES, MAX_TEXT, WorkerReport
from .sender import Sender

logger = logging.getLogger(__name__)

#: A worker reports at this interval, in seconds.
EVERY = 30.0
#: A worker that ends waits this long for its last report to be published, in seconds.
PATIENCE = 5.0
# While it stops, it looks at this interval whether its last task has ended.
_LOOK = 0.1


class Report(bootsteps.StartStopStep):
    """A step of a worker: a thread of its main process, whatever its pool is busy with.

    A broker that is away or silent holds up this thread alone.
    """

    requires = ('celery.worker.components:Pool',)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        self._is_stopping = threading.Event()
        self._is_exiting = False
        self._number = 0
        self._is_away = False
        super().__init__(parent, **kwargs)

    def start(self, parent: Any) -> None:
        """Start to report."""
        self._boot = str(uuid.uuid4())
        self._sender = Sender(parent.app)
        self._thread = threading.Thread(target=self._run, args=(parent,), name='reports', daemon=True)
        self._thread.start()
        # The pool ends after this step, and the process after the pool. A process that is killed says nothing.
        atexit.register(self._wait)

    def stop(self, parent: Any) -> None:
        """Go on until the last task has ended, and then say that the worker has ended."""
        self._is_stopping.set()

    def _wait(self) -> None:
        self._is_exiting = True
        self._is_stopping.set()
        self._thread.join(PATIENCE)

    def _run(self, worker: Any) -> None:
        while not self._is_over(worker):
            self._report(worker, is_last=False)
            self._pause(worker)
        self._report(worker, is_last=True)
        self._sender.close()
        atexit.unregister(self._wait)

    def _pause(self, worker: Any) -> None:
        due = time.monotonic() + EVERY
        self._is_stopping.wait(EVERY)
        while not self._is_over(worker) and time.monotonic() < due:
            time.sleep(_LOOK)

    def _is_over(self, worker: Any) -> bool:
        return self._is_exiting or bool(worker.blueprint.state == bootsteps.TERMINATE)

    def _report(self, worker: Any, is_last: bool) -> None:
        self._number += 1
        try:
            self._sender.send(self._made(worker, is_last))
        except Exception as error:
            if not self._is_away:
                logger.warning(
                    'The worker cannot report to the platform queue; it tries again every %g s: %s',
                    EVERY,
                    masked(str(error)),
                )
            self._is_away = True
        else:
            self._is_away = False

    def _made(self, worker: Any, is_last: bool) -> WorkerReport:
        running = len(active())
        queues = sorted(queue.name[:MAX_TEXT] for queue in worker.app.amqp.queues.consume_from.values())
        return WorkerReport(
            boot=self._boot,
            number=self._number,
            name=worker.hostname[:MAX_TEXT],
            host=socket.gethostname()[:MAX_TEXT],
            pid=os.getpid(),
            queues=queues[:MAX_QUEUES],
            pool=name_of(worker.pool),
            concurrency=worker.concurrency,
            active=running,
            held=held(),
            done=max(accepted() - running, 0),
            versions={
                'celery': celery.__version__,
                'kombu': kombu.__version__,
                'toolbox': __version__,
                'python': platform.python_version(),
            },
            is_last=is_last,
        )
