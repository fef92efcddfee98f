"""Read tasks, with their states and results, from the database."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from ..database.connection import Connected
from ..database.values import storable
from ..database.views import SCHEDULED_VIEW, VIEW
from ..errors import NotUsable
from .columns import EVERYTHING, SCHEDULED, newest_first
from .counts import Count, counted, counting
from .failures import Failure, failing
from .failures import counted as counted_failures
from .filter import Filter, conditions, has_state, is_after
from .portions import VALUES, portions
from .relations import relatives
from .stats import TaskStats, gathered, listing, summed, summing
from .task import STATES, Cursor, TrackedTask
from .workflow_search import related, senders

#: The most tasks that are read of one workflow, unless the caller asks for more.
WORKFLOW_LIMIT = 10_000
# PostgreSQL looks up the states of this many tasks in a few milliseconds.
_NEWEST = 2_000
# The rows of a long result that are in memory at a time.
_PORTION = 1_000


class TrackedTasks(Connected):
    """A connection to the database that has the view, as a context manager. It writes nothing.

    A role that may SELECT from ``celery_task_status`` and ``celery_task_scheduled`` is enough.

    :param url: the database's URL, as SQLAlchemy spells it: PostgreSQL's or SQLite's.
    :raises NotUsable: where the URL is not that of such a database, or a view or a column is missing.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox.monitor import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> with TrackedTasks('sqlite:///tasks.db') as tracked:
    ...     tracked.page(Filter(state='FAILURE'), 20)
    []
    """

    def _prepare(self) -> None:
        # Each statement is a transaction of its own: a long one would keep PostgreSQL from cleaning up old rows.
        self._connection.execution_options(isolation_level='AUTOCOMMIT')
        if self._engine.dialect.name == 'postgresql':
            self._connection.execute(sa.text('SET default_transaction_read_only = on'))
        else:
            self._connection.execute(sa.text('PRAGMA query_only = on'))
            self._connection.execute(sa.text('PRAGMA case_sensitive_like = on'))
        self._require('view', (SCHEDULED_VIEW, VIEW))

    def page(self, where: Filter, limit: int, before: Cursor | None = None) -> list[TrackedTask]:
        """List tasks, newest first. Results whose task is not stored (yet) come last, in the order of their ids.

        The list has such results only where the filter asks for nothing but a state: nothing else is known about them.

        :param where: the tasks to list.
        :param limit: the most tasks.
        :param before: the cursor of the last task of the page before.
        :returns: the tasks. They are fewer than the limit only where there are no more.
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
        :returns: those that are known, in any order.
        :raises NotUsable: where the role may not read the view.
        """
        ids = sorted({storable(task_id) for task_id in task_ids})
        queries = (sa.select(*EVERYTHING).where(EVERYTHING.task_id.in_(some)) for some in portions(ids, VALUES))
        return [row for query in queries for row in self._rows(query)]

    def get(self, task_id: str) -> TrackedTask | None:
        """Look up one task or result, as `find` does.

        :returns: `None` where it is not known.
        """
        found = self.find([task_id])
        return found[0] if found else None

    def workflow(self, task_id: str, limit: int = WORKFLOW_LIMIT) -> list[TrackedTask]:
        """List all tasks of the workflow to which a task belongs.

        Tasks belong to one workflow if they have the same root, parent or group, if one is in the chord whose header is
        the group of the other, and so on. A result whose task is not stored belongs to it if the message of a task
        mentions the result. One example is the failure of a body that Celery did not send because the header failed.

        :param task_id: the id of any of its tasks, stored or yet to be sent, or of its group.
        :param limit: the most tasks.
        :returns: the tasks in the order in which they were first seen; none where the id is not known.
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
        :param bucket: the length of a stretch, in whole seconds. Stretches begin at multiples of it since 1970, in UTC.
        :returns: the counts that are not 0, by time, state and queue.
        :raises NotUsable: where the role may not read the view.
        """
        return counted(self._run(counting(since, bucket)))

    def failures(self, since: datetime, by: str | None = None, where: Filter | None = None) -> list[Failure]:
        """Count the tasks that failed, by name, class of error, and message with its numbers masked.

        :param since: the earliest time at which they failed, with a time zone.
        :param by: ``'task'`` counts by name alone, ``'error'`` by error alone.
        :param where: the tasks to count. A failure whose task is not stored counts only where there is no condition.
        :returns: the most frequent failures first.
        :raises NotUsable: where the role may not read the views.
        """
        queries = failing(since, by, where or Filter())
        return counted_failures((row for query in queries for row in self._stream(query)), since, by)

    def stats(self, since: datetime) -> list[TaskStats]:
        """Summarise the tasks of each name that were first seen since a time.

        :param since: the time, with a time zone.
        :returns: the most frequent names first.
        :raises NotUsable: where the role may not read the view.
        """
        if self._engine.dialect.name == 'postgresql':
            return summed(self._run(summing(since)), since)
        return summed(gathered(self._stream(listing(since))), since)

    def _scheduled(self, where: Filter, limit: int, before: Cursor | None) -> list[TrackedTask]:
        met = conditions(where)
        if before is not None:
            met.append(is_after(before))
        newest = sa.select(*SCHEDULED).where(*met).order_by(*newest_first(SCHEDULED))
        if where.state is None:
            return self._rows(newest.limit(limit))
        # No index can cover both the state and the time, which are in two tables. The newest tasks alone fill most
        # pages, so this looks at them first.
        some = newest.limit(_NEWEST).subquery().c
        found = self._rows(
            sa.select(*some).where(has_state(some, where.state)).order_by(*newest_first(some)).limit(limit)
        )
        if len(found) == limit:
            return found
        # PostgreSQL would now look up one task after another to the end of the table. The materialized query makes it
        # find all matching tasks first, which is faster.
        met.append(has_state(SCHEDULED, where.state))
        matching = sa.select(SCHEDULED.task_id, SCHEDULED.first_seen).where(*met).cte('matching')
        keys = matching.prefix_with('MATERIALIZED', dialect='postgresql')
        page = sa.select(keys.c.task_id).order_by(*newest_first(keys.c)).limit(limit)
        return self._rows(sa.select(*SCHEDULED).where(SCHEDULED.task_id.in_(page)).order_by(*newest_first(SCHEDULED)))

    def _unscheduled(self, where: Filter, limit: int, before: Cursor | None) -> list[TrackedTask]:
        query = (
            sa.select(*EVERYTHING)
            .where(EVERYTHING.first_seen.is_(None))
            .order_by(EVERYTHING.task_id.desc())
            .limit(limit)
        )
        if where.state is not None:
            query = query.where(EVERYTHING.status == storable(where.state))
        if before is not None:
            query = query.where(EVERYTHING.task_id < storable(before.task_id))
        return self._rows(query)

    def _related(self, relatives: Iterable[tuple[str, str]], limit: int) -> set[str]:
        return {found for condition in related(relatives) for found in self._ids(condition, limit)}

    def _senders(self, task_ids: Iterable[str]) -> set[str]:
        return {found for condition in senders(task_ids) for found in self._ids(condition, WORKFLOW_LIMIT)}

    def _ids(self, condition: sa.ColumnElement[bool], limit: int) -> set[str]:
        # This reads ids alone: for the other columns, PostgreSQL would read all results to join them.
        return {row.task_id for row in self._run(sa.select(EVERYTHING.task_id).where(condition).limit(limit))}

    def _rows(self, query: Any) -> list[TrackedTask]:
        return [_tracked_task(row) for row in self._run(query)]

    def _run(self, query: Any) -> Iterable[Any]:
        with _refusing():
            return self._connection.execute(query)

    def _stream(self, query: Any) -> Iterator[Any]:
        """Read rows portion by portion, in a transaction of their own: a cursor of PostgreSQL needs one."""
        with self._engine.connect() as connection:
            with _refusing():
                rows = connection.execute(query, execution_options={'yield_per': _PORTION})
            yield from rows


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ProgrammingError as error:
        raise NotUsable(f'The database refuses to show tasks: {error.orig}') from error


def _tracked_task(row: Any) -> TrackedTask:
    # SQLite has no time zones, and Celery's tables have none either: both store UTC.
    values: dict[str, Any] = {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row._mapping.items()
    }
    return TrackedTask(**{**values, 'status': values['status'] or STATES[0]})
