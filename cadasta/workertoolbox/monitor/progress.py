"""Tell people and process managers how the monitor gets on."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import NotUsable
from .store import Stored

logger = logging.getLogger(__name__)

#: The monitor logs rate and lag at this interval, in seconds.
INTERVAL = 30.0
_TOUCH_INTERVAL = 1.0


class Progress:
    """Counts the tasks that are stored, logs the count at an interval, and touches the ready file.

    :param ready_file: the file, or ``None``.
    """

    def __init__(self, ready_file: Path | None) -> None:
        self._ready_file = ready_file
        self._touched = 0.0
        self._since = time.monotonic()
        self._tasks = self._rejected = 0

    def begin(self) -> None:
        """Note that database and broker answer.

        :raises NotUsable: where the ready file cannot be written.
        """
        self._touched = 0.0
        self._touch()
        logger.info('Ready: storing what the platform queue holds')

    def add(self, stored: Stored) -> None:
        """Count a batch."""
        self._tasks += stored.tasks
        self._rejected += stored.rejected

    def report(self, waiting: Callable[[], int]) -> None:
        """Touch the ready file and log rate and lag, each when it is due.

        :param waiting: counts the messages that are left in the queue.
        """
        self._touch()
        now = time.monotonic()
        if now - self._since >= INTERVAL:
            self._log(now, f'{waiting()} waiting in the platform queue')
            self._since, self._tasks, self._rejected = now, 0, 0

    def end(self) -> None:
        """Note that the monitor has stopped working."""
        if self._ready_file:
            self._ready_file.unlink(missing_ok=True)

    def _log(self, now: float, lag: str) -> None:
        seconds = now - self._since
        logger.info(
            '%d tasks in %.0f s (%.1f/s), %d messages rejected, %s',
            self._tasks,
            seconds,
            self._tasks / seconds,
            self._rejected,
            lag,
        )

    def _touch(self) -> None:
        now = time.monotonic()
        if self._ready_file and now - self._touched >= _TOUCH_INTERVAL:
            try:
                self._ready_file.touch()
            except OSError as error:
                raise NotUsable(f'The ready file cannot be written: {error}') from error
            self._touched = now
