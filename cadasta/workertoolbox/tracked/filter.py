"""Filter tasks by conditions in SQL."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ..database.tables import task
from ..database.values import storable
from .columns import SCHEDULED
from .task import STATES, Cursor


@dataclass(frozen=True)
class Filter:
    """The conditions on the tasks of a list. A task must meet all that are given.

    :param state: their state, one of ``STATES`` or of the app's own.
    :param name: their name, or its beginning and a ``*``.
    :param root: the id of the task that began their workflow.
    :param queue: their routing key.
    :param newer_than: the earliest time at which they were first seen, with a time zone.
    :param older_than: the time before which they were first seen, with a time zone.

    >>> Filter(state='FAILURE', name='export.*')
    Filter(state='FAILURE', name='export.*', root=None, queue=None, newer_than=None, older_than=None)
    """

    state: str | None = None
    name: str | None = None
    root: str | None = None
    queue: str | None = None
    newer_than: datetime | None = None
    older_than: datetime | None = None

    @property
    def is_of_results(self) -> bool:
        """Whether it can match a result whose task is not stored."""
        return self == Filter(state=self.state)


def conditions(where: Filter) -> list[sa.ColumnElement[bool]]:
    """Make all conditions on tasks that are stored, except the condition on their state.

    :param where: the tasks to find.
    """
    found = []
    if where.name is not None:
        name = storable(where.name)
        is_prefix = name.endswith('*')
        found.append(SCHEDULED.name.startswith(name[:-1], autoescape=True) if is_prefix else SCHEDULED.name == name)
    if where.root is not None:
        found.append(SCHEDULED.root_id == storable(where.root))
    if where.queue is not None:
        found.append(SCHEDULED.routing_key == storable(where.queue))
    if where.newer_than is not None:
        found.append(SCHEDULED.first_seen >= where.newer_than.astimezone(UTC))
    if where.older_than is not None:
        found.append(SCHEDULED.first_seen < where.older_than.astimezone(UTC))
    return found


def has_state(columns: Any, state: str) -> sa.ColumnElement[bool]:
    """Make the condition on the state of a task that is stored.

    :param columns: the columns of the view, or of a part of it.
    :param state: the state.
    """
    status: sa.ColumnElement[str] = columns.status
    return status.is_(None) if state == STATES[0] else status == storable(state)


def is_after(cursor: Cursor) -> sa.ColumnElement[bool]:
    """Make the condition that a task which is stored comes after a place in the list.

    :param cursor: a place, of a task that is stored.
    """
    return _place(SCHEDULED.first_seen, SCHEDULED.task_id) < _place(*cursor)


def _place(first_seen: Any, task_id: Any) -> sa.Tuple:
    if isinstance(first_seen, datetime):
        first_seen, task_id = first_seen.astimezone(UTC), storable(task_id)
    return sa.tuple_(first_seen, task_id, types=[task.c.first_seen.type, task.c.task_id.type])
