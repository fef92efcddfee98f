"""Read the errors of the tasks on a page."""

from collections.abc import Sequence

from ..database.tables import RAISED
from ..tracked.extent import Extent
from ..tracked.query import TrackedTasks
from ..tracked.raised import Raised, error_of
from ..tracked.task import TrackedTask
from .texts import LONGEST


def errors(database: TrackedTasks, tasks: Sequence[TrackedTask]) -> dict[str, Raised]:
    """Read the errors that tasks raised last.

    :param database: where they are stored.
    :param tasks: the tasks, with their states.
    :returns: the errors, by the ids of the tasks.
    """
    failed = [task for task in tasks if task.status in RAISED]
    read = ((task.task_id, error_of(task)) for task in database.detailed(failed, Extent(('result',), LONGEST)))
    return {task_id: error for task_id, error in read if error is not None}
