"""The bootstep of a worker's consumer that waits before the worker connects once more.

Celery connects again at once, up to five times a second, where a broker accepts a connection and then refuses a
command. That writes thousands of lines into a log before somebody can mend the broker.
"""

import logging
import time
from typing import Any

from celery import Celery, bootsteps

from ..seams.celery_worker import end_if_told
from ..seams.kombu_hub import use_event_loop

logger = logging.getLogger(__name__)

#: A worker whose connection has lasted this long connects again at once, in seconds.
LASTING = 30.0
#: The longest time that a worker waits, in seconds.
LONGEST_PAUSE = 30.0
_GLANCE = 0.1


class Pause(bootsteps.StartStopStep):
    """Waits twice as long each time that a connection does not last."""

    requires = ('celery.worker.consumer.connection:Connection',)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        self._since: float | None = None
        self._pause = 0.0
        super().__init__(consumer, **kwargs)

    def start(self, consumer: Any) -> None:
        """Note when the connection was made."""
        self._since = time.monotonic()

    def stop(self, consumer: Any) -> None:
        """Wait if the worker is about to connect again, and not about to end."""
        since, self._since = self._since, None
        if consumer.blueprint.state != bootsteps.RUN:
            return
        use_event_loop(consumer.hub)
        if since is not None and time.monotonic() - since >= LASTING:
            self._pause = 0.0
        if self._pause:
            logger.warning('The worker connects again in %g s', self._pause)
        end = time.monotonic() + self._pause
        self._pause = min(2 * self._pause or 1.0, LONGEST_PAUSE)
        while (left := end - time.monotonic()) > 0:
            end_if_told()
            time.sleep(min(left, _GLANCE))


def pause_between_restarts(app: Celery) -> None:
    """Let the workers of an app wait before they connect again to a broker that refuses their commands.

    :param app: an app whose workers have not started yet.

    >>> app = Celery('export')
    >>> pause_between_restarts(app)
    >>> app.steps['consumer']
    {'cadasta.workertoolbox.transports.restarts:Pause'}
    """
    # A step is named here and not imported, because a producer does not load the modules of a worker.
    app.steps['consumer'].add(f'{__name__}:Pause')
