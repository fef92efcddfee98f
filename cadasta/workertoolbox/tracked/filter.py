"""Filter tasks by conditions in SQL."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from celery import states

from ..database.tables import ERROR_LENGTH, RAISED, error_beginning, task
from ..database.values import storable
from .columns import EVERYTHING, RESULTS, SCHEDULED, as_text
from .task import STATES, Cursor

_AHEAD = SCHEDULED.eta > sa.func.now()
_EXPIRED = SCHEDULED.expires <= sa.func.now()
_IGNORED = as_text(SCHEDULED.options['ignore_result']).in_(('true', '1'))
# A task that is `running` or `lost` has none of these states.
_NOT_RUNNING = [state for state in STATES if state != states.STARTED]
# By standing: the states that a stored task with this standing may have, and the conditions that it then meets. Other
# tasks may meet them as well.
_REQUIRED: dict[str, dict[str, list[sa.ColumnElement[bool]]]] = {
    'waiting': {states.PENDING: [_AHEAD], states.RECEIVED: [_AHEAD]},
    'queued': {states.PENDING: [], states.RECEIVED: []},
    'unknown': {states.PENDING: [_IGNORED], states.RECEIVED: [_IGNORED]},
    'expired': {states.PENDING: [_EXPIRED], states.RECEIVED: [_EXPIRED], states.REVOKED: []},
    'retrying': {states.RETRY: []},
    'succeeded': {states.SUCCESS: []},
    'failed': {states.FAILURE: []},
    'cancelled': {states.FAILURE: [SCHEDULED.runs == 0], states.REVOKED: []},
}


@dataclass(frozen=True)
class Filter:
    """The conditions on the tasks of a list. A task must meet all that are given.

    :param state: their state, one of ``STATES`` or of the app's own.
    :param name: their name, or its beginning and a ``*``.
    :param root: the id of the task that began their workflow.
    :param queue: their routing key.
    :param newer_than: the earliest time at which they were first seen, with a time zone.
    :param older_than: the time before which they were first seen, with a time zone.
    :param id_prefix: the beginning of their id.
    :param argument: the name of a keyword argument, or the number of a positional one from 0 on, and its value. The
        value is a text, and also matches the number, or the true or false, that it spells. In SQLite, true is 1.
    :param error: the class of the exception that they raised last, as ``KeyError``.
    :param group: the id of their group.
    :param worker: the worker that started them last, or the beginning of its name.
    :param standing: what has become of them, one of ``STANDINGS``.

    >>> Filter(state='FAILURE', name='export.*').name
    'export.*'
    """

    state: str | None = None
    name: str | None = None
    root: str | None = None
    queue: str | None = None
    newer_than: datetime | None = None
    older_than: datetime | None = None
    id_prefix: str | None = None
    argument: tuple[str, str] | None = None
    error: str | None = None
    group: str | None = None
    worker: str | None = None
    standing: str | None = None

    @property
    def is_of_results(self) -> bool:
        """Whether it can match a result whose task is not stored."""
        of_messages = (self.name, self.root, self.queue, self.newer_than, self.older_than, self.argument, self.group)
        return of_messages == (None,) * len(of_messages)

    @property
    def is_indexed(self) -> bool:
        """Whether indexes of the Task table answer all its conditions."""
        others = (self.state, self.id_prefix, self.argument, self.error, self.worker, self.standing)
        return others == (None,) * len(others)


def indexed(where: Filter, columns: Any) -> Iterator[sa.ColumnElement[bool]]:
    """Make the conditions for which the Task table has an index that is in the order of a list.

    :param where: the tasks to find.
    :param columns: the columns of a view.
    """
    if where.name is not None:
        name = storable(where.name)
        yield _begins(columns.name, name[:-1]) if name.endswith('*') else columns.name == name
    if where.root is not None:
        yield columns.root_id == storable(where.root)
    if where.queue is not None:
        yield columns.routing_key == storable(where.queue)
    if where.group is not None:
        yield columns.group_id == storable(where.group)
    if where.newer_than is not None:
        yield columns.first_seen >= where.newer_than.astimezone(UTC)
    if where.older_than is not None:
        yield columns.first_seen < where.older_than.astimezone(UTC)


def others(where: Filter, columns: Any) -> Iterator[sa.ColumnElement[bool]]:
    """Make all other conditions, except the condition on the state.

    :param where: the tasks to find.
    :param columns: the columns of a view, or of a part of it.
    """
    if where.id_prefix is not None:
        met = _begins(columns.task_id, storable(where.id_prefix))
        # The order of the index need not be that of beginnings. PostgreSQL reads all of it, and not the larger table.
        yield columns.task_id.in_(sa.select(columns.task_id).where(met)) if columns is SCHEDULED else met
    if where.argument is not None:
        name, value = where.argument
        given = columns.args[int(name)] if name.isdecimal() else columns.kwargs[name]
        yield as_text(given) == storable(value)
    if where.error is not None:
        beginnings = [f'{{"exc_type":{gap}{json.dumps(where.error)}'.encode() for gap in (' ', '')]
        yield columns.status.in_(RAISED)
        yield sa.or_(*(_has_beginning(columns.result, text) for text in beginnings))
    if where.worker is not None:
        yield _begins(columns.worker, storable(where.worker))
    if where.standing is not None:
        yield columns.standing == storable(where.standing)


def read_by(where: Filter) -> tuple[str, ...]:
    """Name the columns with large values that the conditions read."""
    return (*(('args', 'kwargs') if where.argument else ()), *(('result',) if where.error else ()))


def by_state(where: Filter) -> list[list[sa.ColumnElement[bool]]]:
    """Make the conditions on the state of tasks that are stored. A task must meet all conditions of one of the lists.

    PostgreSQL finds the tasks without a result by an anti-join, and the states by an index. An OR would prevent both.

    :param where: the tasks to find.
    """
    if where.standing is None:
        return [[]] if where.state is None else [[found] for found in _with_state(where.state)]
    required = [] if where.state is None else [has_state(SCHEDULED, where.state)]
    if where.standing not in _REQUIRED:
        return [[SCHEDULED.status.not_in(_NOT_RUNNING), *required]]
    conditions = _REQUIRED[where.standing].items()
    return [[found, *met, *required] for state, met in conditions for found in _with_state(state)]


def by_stored_state(where: Filter) -> Iterator[sa.ColumnElement[bool]]:
    """Make the conditions on the state of results.

    :param where: the results to find.
    """
    status = EVERYTHING.status
    if where.state is not None:
        yield status == storable(where.state)
    if where.standing in _REQUIRED:
        yield status.in_(list(_REQUIRED[where.standing]))
    elif where.standing is not None:
        yield status.not_in(_NOT_RUNNING)


def has_state(columns: Any, state: str) -> sa.ColumnElement[bool]:
    """Make the condition on the state of a task that is stored.

    :param columns: the columns of the view, or of a part of it.
    :param state: the state.
    """
    status: sa.ColumnElement[str] = columns.status
    return status.is_(None) if state == STATES[0] else status == storable(state)


def without_result() -> Iterator[sa.ColumnElement[bool]]:
    """Make the conditions that a task which is stored is PENDING. A task meets one of them.

    PostgreSQL reads whole tables for a condition on the state alone. The first of these needs the indexes of the ids.
    The row of a result is PENDING if somebody sends the task again.
    """
    for met in (RESULTS.result_id.is_(None), RESULTS.result_status == states.PENDING):
        yield SCHEDULED.task_id.in_(sa.select(RESULTS.task_id).where(met))


def is_after(cursor: Cursor) -> sa.ColumnElement[bool]:
    """Make the condition that a task which is stored comes after a place in the list.

    :param cursor: a place, of a task that is stored.
    """
    return _place(SCHEDULED.first_seen, SCHEDULED.task_id) < _place(*cursor)


def _with_state(state: str) -> Iterator[sa.ColumnElement[bool]]:
    if state == STATES[0]:
        yield from without_result()
    else:
        yield has_state(SCHEDULED, state)


def _has_beginning(result: Any, text: bytes) -> sa.ColumnElement[bool]:
    # An index has the beginnings in their order. It has not the whole of a long name.
    least = text[:ERROR_LENGTH]
    above = least[:-1] + bytes([least[-1] + 1])
    beginning = error_beginning(result)
    return sa.and_(beginning >= least, beginning < above, sa.func.substr(result, 1, len(text)) == text)


def _begins(column: Any, beginning: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = column.startswith(beginning, autoescape=True)
    return found


def _place(first_seen: Any, task_id: Any) -> sa.Tuple:
    if isinstance(first_seen, datetime):
        first_seen, task_id = first_seen.astimezone(UTC), storable(task_id)
    return sa.tuple_(first_seen, task_id, types=[task.c.first_seen.type, task.c.task_id.type])
