"""Show new tasks and new states while they come."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from rich.live import Live

from ..tracked.extent import BRIEF, Extent
from ..tracked.filter import Filter
from ..tracked.query import TrackedTasks
from ..tracked.task import TrackedTask
from .tasks import Screen

# The number of newest tasks that are watched for a change of their state.
_WATCHED = 2_000
# A monitor may store a task this long after another monitor has stored a task with a later time.
_LATE = timedelta(seconds=30)


class Changes:
    """The tasks that are new since the last call.

    :param tracked: a connection.
    :param where: the tasks to show. A task that comes to meet the conditions is new, too.
    :param limit: the number of existing tasks that count as new at first.
    :param extent: how much to read of the tasks that are new.
    """

    def __init__(self, tracked: TrackedTasks, where: Filter, limit: int, extent: Extent = BRIEF) -> None:
        self._tracked = tracked
        self._where = where
        # A task may reach the other conditions later.
        self._watched = replace(where, state=None, error=None, worker=None, standing=None)
        self._limit = limit
        self._extent = extent
        self._known: dict[str, TrackedTask] = {}

    def first(self) -> list[TrackedTask]:
        """Give the tasks that exist already, the oldest first."""
        for task in self._tracked.page(self._watched, _WATCHED, extent=BRIEF):
            self._known[task.task_id] = task
        return self._tracked.page(self._where, self._limit, extent=self._extent)[::-1]

    def next(self) -> list[TrackedTask]:
        """Give the tasks that are new or whose state has changed, the oldest first."""
        found = {task.task_id: task for task in [*self._later(), *self._open()]}
        changed = [
            task_id
            for task_id, task in found.items()
            if task_id not in self._known or _state(self._known[task_id]) != _state(task)
        ]
        shown = self._tracked.find(changed, self._extent, self._where)
        self._known.update(found)
        for task in shown:
            self._known[task.task_id] = replace(found[task.task_id], status=task.status, standing=task.standing)
        newest = sorted(self._known.values(), key=_age)[-_WATCHED:]
        self._known = {task.task_id: task for task in newest}
        return sorted(shown, key=_age)

    def _later(self) -> Iterator[TrackedTask]:
        seen = [task.first_seen for task in self._known.values() if task.first_seen is not None]
        where = self._watched
        if seen:
            where = replace(where, newer_than=max(filter(None, [max(seen) - _LATE, where.newer_than])))
        page = self._tracked.page(where, _WATCHED, extent=BRIEF)
        while page:
            yield from page
            page = self._tracked.page(where, _WATCHED, page[-1].cursor, BRIEF) if len(page) == _WATCHED else []

    def _open(self) -> list[TrackedTask]:
        return self._tracked.find([task.task_id for task in self._known.values() if not task.is_done], BRIEF)


def appended(
    tracked: TrackedTasks,
    show: Callable[[TrackedTask], None],
    where: Filter,
    limit: int,
    extent: Extent,
) -> None:
    """Show the newest tasks, the oldest of them first, then each task that is new or has changed. This never ends.

    :param tracked: a connection.
    :param show: shows a task.
    :param where: the tasks to show. A task that comes to meet the conditions is new.
    :param limit: the number of existing tasks to show first.
    :param extent: how much to read of the tasks.
    """
    changes = Changes(tracked, where, limit, extent)
    began = time.monotonic()
    tasks = changes.first()
    while True:
        for task in tasks:
            show(task)
        _pause(began)
        began = time.monotonic()
        tasks = changes.next()


def live(tracked: TrackedTasks, screen: Screen, where: Filter, limit: int) -> None:
    """Keep a list on the terminal up to date. This never ends.

    :param tracked: a connection.
    :param screen: the terminal.
    :param where: the tasks to show.
    :param limit: the most tasks; fewer where the terminal is lower.
    """
    with Live(console=screen.console, auto_refresh=False) as view:
        while True:
            began = time.monotonic()
            # The heading of the table takes one line, and the cursor another.
            fitting = max(1, min(limit, screen.console.height - 2))
            view.update(screen.table(tracked.page(where, fitting, extent=screen.extent())), refresh=True)
            _pause(began)


def _pause(began: float) -> None:
    # The pauses keep a slow database busy for no more than a fifth of the time.
    time.sleep(max(1.0, 4 * (time.monotonic() - began)))


def _state(task: TrackedTask) -> tuple[str, str]:
    return task.status, task.standing


def _age(task: TrackedTask) -> tuple[bool, object, str]:
    return task.first_seen is not None, task.first_seen, task.task_id
