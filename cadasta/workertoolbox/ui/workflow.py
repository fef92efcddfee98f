"""Lay out a workflow for the page: a line for each task, in the order of the tree, with a bar on a common time axis."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery.states import IGNORED, READY_STATES

from ..tracked.task import TrackedTask
from ..tracked.tree import UNSENT, Node, overall, tree

#: The most tasks that a page draws. Browsers take seconds to draw many more.
LIMIT = 1_000
#: The length of the time axis, in the units of the drawing.
AXIS = 1_000
# A chain of a hundred tasks is a hundred levels deep: its last tasks would be indented out of the window.
_DEEPEST = 12
_DONE = READY_STATES | {IGNORED, UNSENT}
# The bar of the shortest task has this width, so that people can see it.
_NARROWEST = 4


@dataclass(frozen=True)
class DrawnTask:
    """A task of a workflow.

    :param task: the task.
    :param state: its state, as its workflow tells it.
    :param depth: the number of tasks above it.
    :param after: the time from when the workflow's first task was scheduled until it was scheduled; `None` where it is
        not stored.
    :param note: why it was not sent, if it was not.
    :param left: the place on the axis at which its bar begins.
    :param width: the length of its bar.
    """

    task: TrackedTask
    state: str
    depth: int
    after: timedelta | None
    left: int
    width: int
    note: str | None = None

    @property
    def is_done(self) -> bool:
        return self.state in _DONE

    @property
    def indent(self) -> int:
        return min(self.depth, _DEEPEST)


@dataclass(frozen=True)
class Workflow:
    """A workflow.

    :param state: its overall state.
    :param total: the number of its tasks.
    :param numbers: the states of its tasks, each with the number of tasks in it, the most frequent first.
    :param length: the time from the first known moment to the last; `None` where no moment is known.
    :param first: the number of the first task that is drawn, from 1 on.
    :param rows: the tasks that are drawn.
    """

    state: str
    total: int
    numbers: Sequence[tuple[str, int]]
    length: timedelta | None
    first: int
    rows: Sequence[DrawnTask]

    @property
    def last(self) -> int:
        """The number of the last task that is drawn."""
        return self.first + len(self.rows) - 1


def workflow(tasks: Sequence[TrackedTask], first: int = 1) -> Workflow:
    """Lay out a workflow.

    :param tasks: its tasks.
    :param first: the number of the first task to draw.

    >>> drawn = workflow([TrackedTask('1', 'SUCCESS'), TrackedTask('2', 'STARTED', root_id='1', parent_id='1')])
    >>> [(row.task.task_id, row.depth) for row in drawn.rows]
    [('1', 0), ('2', 1)]
    """
    moments = [moment for task in tasks for moment in (task.scheduled, task.date_done) if moment]
    start, end = min(moments, default=None), max(moments, default=None)
    nodes = list(_walk(tree(tasks)))
    first = max(min(first, len(nodes)), 1)
    return Workflow(
        state=overall(tasks),
        total=len(nodes),
        numbers=Counter(node.state for node, _ in nodes).most_common(),
        length=end - start if start and end else None,
        first=first,
        rows=[_row(node, depth, start, end) for node, depth in nodes[first - 1 : first - 1 + LIMIT]],
    )


def _row(node: Node, depth: int, start: datetime | None, end: datetime | None) -> DrawnTask:
    task, state, scheduled = node.task, node.state, node.task.scheduled
    if start is None or end is None or scheduled is None:
        return DrawnTask(task, state, depth, None, 0, 0, node.note)
    # The bar of a task that is not done reaches to the end of the axis. Some finished tasks have no time of their end.
    until = (task.date_done or scheduled) if state in _DONE else end
    # An axis of no length has only one place.
    scale = AXIS / ((end - start).total_seconds() or 1)
    after = scheduled - start
    left = min(round(after.total_seconds() * scale), AXIS - _NARROWEST)
    width = round((until - scheduled).total_seconds() * scale)
    return DrawnTask(task, state, depth, after, left, max(width, _NARROWEST), node.note)


def _walk(roots: Sequence[Node]) -> Iterator[tuple[Node, int]]:
    # This loop replaces a recursion: a chain of a thousand tasks is a thousand levels deep.
    waiting = [(root, 0) for root in reversed(roots)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in reversed(node.children)]
