"""What was scheduled and what became of it, read from the view of tasks and results."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from ..architecture import CHORD_UNLOCK
from ..database.connection import Connected
from ..database.tables import later_id, result_tables, task, unlock_arguments
from ..database.values import storable
from ..database.views import SCHEDULED_VIEW, VIEW
from ..errors import NotUsable
from .relations import relatives
from .task import STATES, Cursor, TrackedTask

__all__ = ['STATES', 'Count', 'Cursor', 'Filter', 'TrackedTask', 'TrackedTasks']

_T = TypeVar('_T')

#: More tasks than this are not read of one workflow unless asked for.
WORKFLOW_LIMIT = 10_000
# Values of one condition: SQLite allows no more than 32,766, and one of these may be two.
_VALUES = 500
_FEW = 20
# Of so many tasks PostgreSQL looks up the states in a few milliseconds.
_NEWEST = 2_000


def _view(name: str) -> Any:
    result, _ = result_tables({}, {})
    columns = [*task.columns, *(result.c[column] for column in ('status', 'date_done', 'result', 'traceback'))]
    return sa.table(name, *(sa.column(column.name, column.type) for column in columns)).c


_all = _view(VIEW)
_scheduled = _view(SCHEDULED_VIEW)


def _newest_first_of(columns: Any) -> tuple[sa.ColumnElement[Any], ...]:
    return columns.first_seen.desc(), columns.task_id.desc()


_newest_first = _newest_first_of(_scheduled)


@dataclass(frozen=True)
class Filter:
    """Which tasks to list: those that meet all conditions which are given.

    :param state: their state, one of ``STATES`` or of the app's own.
    :param name: their name, or its beginning and a ``*``.
    :param root: the id of the task that began their workflow.
    :param queue: their routing key.
    :param newer_than: when they were first seen, at the earliest; with a time zone.
    :param older_than: when they were first seen, before this; with a time zone.

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
        """Whether a result whose task is not stored can meet it."""
        return self == Filter(state=self.state)


class Count(NamedTuple):
    """How many tasks were first seen in a stretch of time.

    :param start: when it begins.
    :param state: the state that they have now.
    :param queue: their routing key.
    :param tasks: how many they are.
    """

    start: datetime
    state: str
    queue: str | None
    tasks: int


class TrackedTasks(Connected):
    """A connection to the database that has the view, as a context manager. It writes nothing.

    A role that may SELECT from ``celery_task_status`` and ``celery_task_scheduled`` is enough.

    :param url: the database's URL, as SQLAlchemy spells it: PostgreSQL's or SQLite's.
    :raises NotUsable: where the URL is not that of such a database, or a view is missing.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox.monitor import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> with TrackedTasks('sqlite:///tasks.db') as statuses:
    ...     statuses.page(Filter(state='FAILURE'), 20)
    []
    """

    def _prepare(self) -> None:
        # A statement is a transaction: somebody who watches keeps nothing from being cleaned up.
        self._connection.execution_options(isolation_level='AUTOCOMMIT')
        if self._engine.dialect.name == 'postgresql':
            self._connection.execute(sa.text('SET default_transaction_read_only = on'))
        else:
            self._connection.execute(sa.text('PRAGMA query_only = on'))
            self._connection.execute(sa.text('PRAGMA case_sensitive_like = on'))
        self._require('view', (VIEW, SCHEDULED_VIEW))

    def page(self, where: Filter, limit: int, before: Cursor | None = None) -> list[TrackedTask]:
        """List tasks, newest first. Last come results whose task is not stored (yet), by their ids.

        Those are listed only where the filter asks for nothing but a state: all else is unknown of them.

        :param where: which tasks.
        :param limit: how many at most.
        :param before: the cursor of the last task of the page before.
        :returns: the tasks; fewer than the limit where there are no more.
        :raises NotUsable: where the role may not read the views.
        """
        found: list[TrackedTask] = []
        if before is None or before.first_seen is not None:
            found = self._scheduled(where, limit, before)
            before = None
        if len(found) < limit and where.is_of_results:
            found += self._unscheduled(where, limit - len(found), before)
        return found

    def find(self, task_ids: Collection[str]) -> list[TrackedTask]:
        """Look up tasks and results.

        :param task_ids: the ids.
        :returns: those which are known, in any order.
        :raises NotUsable: where the role may not read the view.
        """
        ids = sorted({storable(task_id) for task_id in task_ids})
        queries = (sa.select(*_all).where(_all.task_id.in_(some)) for some in _portions(ids, _VALUES))
        return [row for query in queries for row in self._rows(query)]

    def get(self, task_id: str) -> TrackedTask | None:
        """Look up one task or result, as `find` does.

        :returns: `None` where it is not known.
        """
        found = self.find([task_id])
        return found[0] if found else None

    def workflow(self, task_id: str, limit: int = WORKFLOW_LIMIT) -> list[TrackedTask]:
        """List all tasks of the workflow to which a task belongs.

        They are those with its root, its parent or its group, the chord that its group is the header of, and so on.
        A result whose task is not stored is one of them where the message of a task mentions it: so is the failure of a
        body that was not sent because its header failed.

        :param task_id: the id of any of its tasks, stored or yet to be sent, or of its group.
        :param limit: how many at most.
        :returns: the tasks in the order first seen; none where the id is not known.
        :raises NotUsable: where the role may not read the view.
        """
        found: dict[str, TrackedTask] = {}
        asked: set[tuple[str, str]] = set()
        wanted = {('task_id', task_id), ('root_id', task_id), ('group_id', task_id)}
        searched: set[str] = set()
        unsent: set[str] = set()
        while (wanted or unsent) and len(found) < limit:
            asked |= wanted
            searched |= unsent
            new = self._related(wanted, limit) | self._senders(unsent)
            rows = self.find(sorted(new - found.keys())[: limit - len(found)])
            found.update((row.task_id, row) for row in rows)
            wanted = {relative for row in rows for relative in relatives(row)} - asked
            sent = {row.task_id for row in found.values() if row.first_seen is not None}
            unsent = {value for name, value in asked if name == 'task_id'} - sent - searched
        return sorted(found.values(), key=lambda row: (row.first_seen is None, row.first_seen, row.task_id))

    def counts(self, since: datetime, bucket: timedelta) -> list[Count]:
        """Count the tasks that were first seen in each stretch of time, by state and queue.

        :param since: the earliest time, with a time zone.
        :param bucket: how long a stretch is: whole seconds. Stretches begin at multiples of it since 1970, in UTC.
        :returns: the counts that are not 0, by time, state and queue.
        :raises NotUsable: where the role may not read the view.
        """
        length = int(bucket.total_seconds())
        seconds = sa.extract('epoch', _scheduled.first_seen)
        keys = [
            (seconds - seconds % length).label('start'),
            sa.func.coalesce(_scheduled.status, STATES[0]).label('state'),
            _scheduled.routing_key,
        ]
        query = sa.select(*keys, sa.func.count()).where(_scheduled.first_seen >= since.astimezone(UTC)).group_by(*keys)
        counts = [Count(datetime.fromtimestamp(int(start), UTC), *others) for start, *others in self._run(query)]
        return sorted(counts, key=lambda count: (count.start, count.state, count.queue or ''))

    def _scheduled(self, where: Filter, limit: int, before: Cursor | None) -> list[TrackedTask]:
        conditions = _conditions(where)
        if before is not None:
            conditions.append(_place(_scheduled.first_seen, _scheduled.task_id) < _place(*before))
        newest = sa.select(*_scheduled).where(*conditions).order_by(*_newest_first)
        if where.state is None:
            return self._rows(newest.limit(limit))
        # No index is of the state and the time, which are in two tables. Most often the page is full before long.
        some = newest.limit(_NEWEST).subquery().c
        found = self._rows(
            sa.select(*some).where(_has_state(some, where.state)).order_by(*_newest_first_of(some)).limit(limit)
        )
        if len(found) == limit:
            return found
        # If not, PostgreSQL would go on like that to the end. It is faster where it does not know what comes next.
        conditions.append(_has_state(_scheduled, where.state))
        matching = sa.select(_scheduled.task_id, _scheduled.first_seen).where(*conditions).cte('matching')
        keys = matching.prefix_with('MATERIALIZED', dialect='postgresql')
        page = sa.select(keys.c.task_id).order_by(*_newest_first_of(keys.c)).limit(limit)
        return self._rows(sa.select(*_scheduled).where(_scheduled.task_id.in_(page)).order_by(*_newest_first))

    def _unscheduled(self, where: Filter, limit: int, before: Cursor | None) -> list[TrackedTask]:
        query = sa.select(*_all).where(_all.first_seen.is_(None)).order_by(_all.task_id.desc()).limit(limit)
        if where.state is not None:
            query = query.where(_all.status == storable(where.state))
        if before is not None:
            query = query.where(_all.task_id < storable(before.task_id))
        return self._rows(query)

    def _related(self, relatives: Iterable[tuple[str, str]], limit: int) -> set[str]:
        found: set[str] = set()
        for some in _portions(sorted(relatives), _VALUES):
            values: dict[str, list[str]] = {}
            for name, value in some:
                values.setdefault(name, []).append(storable(value))
            conditions = [_all[name].in_(texts) for name, texts in values.items()]
            conditions += [_unlocks(group_id) for group_id in values.get('group_id', ())]
            found |= self._ids(sa.or_(*conditions), limit)
        return found

    def _senders(self, task_ids: Iterable[str]) -> set[str]:
        # Whoever is to send a task names it in its message. How many do, PostgreSQL cannot know: of few ids it believes
        # that an index helps.
        portions = _portions(sorted(map(storable, task_ids)), _FEW)
        return {found for some in portions for found in self._ids(later_id(_all.options).in_(some), WORKFLOW_LIMIT)}

    def _ids(self, condition: sa.ColumnElement[bool], limit: int) -> set[str]:
        # The ids alone: for the other columns, it would read all results to join them.
        return {row.task_id for row in self._run(sa.select(_all.task_id).where(condition).limit(limit))}

    def _rows(self, query: Any) -> list[TrackedTask]:
        return [_status(row) for row in self._run(query)]

    def _run(self, query: Any) -> Iterable[Any]:
        try:
            return self._connection.execute(query)
        except ProgrammingError as error:
            raise NotUsable(f'The database refuses to show tasks: {error.orig}') from error


def _portions(items: list[_T], size: int) -> Iterator[list[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _has_state(columns: Any, state: str) -> sa.ColumnElement[bool]:
    status: sa.ColumnElement[str] = columns.status
    return status.is_(None) if state == STATES[0] else status == storable(state)


def _conditions(where: Filter) -> list[sa.ColumnElement[bool]]:
    conditions = []
    if where.name is not None:
        name = storable(where.name)
        is_prefix = name.endswith('*')
        conditions.append(
            _scheduled.name.startswith(name[:-1], autoescape=True) if is_prefix else _scheduled.name == name
        )
    if where.root is not None:
        conditions.append(_scheduled.root_id == storable(where.root))
    if where.queue is not None:
        conditions.append(_scheduled.routing_key == storable(where.queue))
    if where.newer_than is not None:
        conditions.append(_scheduled.first_seen >= where.newer_than.astimezone(UTC))
    if where.older_than is not None:
        conditions.append(_scheduled.first_seen < where.older_than.astimezone(UTC))
    return conditions


def _place(first_seen: Any, task_id: Any) -> sa.Tuple:
    if isinstance(first_seen, datetime):
        first_seen, task_id = first_seen.astimezone(UTC), storable(task_id)
    return sa.tuple_(first_seen, task_id, types=[task.c.first_seen.type, task.c.task_id.type])


def _unlocks(group_id: str) -> sa.ColumnElement[bool]:
    # As arguments, and as the representation of them.
    beginning = unlock_arguments(_all.args)
    starts = (beginning.startswith(text, autoescape=True) for text in (f'["{group_id}"', f"\"('{group_id}'"))
    return sa.and_(_all.name == CHORD_UNLOCK, sa.or_(*starts))


def _status(row: Any) -> TrackedTask:
    # SQLite has no time zones, and Celery's tables have none either: both store UTC.
    values: dict[str, Any] = {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row._mapping.items()
    }
    return TrackedTask(**{**values, 'status': values['status'] or STATES[0]})
