"""Read tasks, with their states and results, from the database."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ..database.connection import Connected, prepare_to_read
from ..database.faults import refusing
from ..database.tables import monitors, workers
from ..database.values import storable
from ..database.views import SCHEDULED_VIEW, VIEW
from .columns import EVERYTHING
from .counts import Count, counted, counting
from .extent import STRUCTURE, WHOLE, Extent, read, selected, size
from .failures import Failure, failing
from .failures import counted as counted_failures
from .filter import Filter, by_stored_state, indexed, others
from .listing import scheduled, unscheduled
from .portions import VALUES, portions
from .relations import bare, relatives
from .stats import TaskStats, gathered, listing, summed, summing
from .task import Cursor, TrackedTask, tracked_task
from .workers import ReportedWorker, worker_of
from .workers import listing as listing_of_workers
from .workflow_search import related, senders

#: The most tasks that are read of one workflow, unless the caller asks for more.
WORKFLOW_LIMIT = 10_000
# The rows of a long result that are in memory at a time.
_PORTION = 1_000
# Many tasks and their results are read faster as they lie in their tables than in the order of their ids, for which
# PostgreSQL fetches each row from another place. It needs memory for all of their ids. It cannot know that few rows
# come of many, and would expect that processes which share the work have much to hand over. These settings end with the
# transaction, because a pooler may give the session to somebody else then.
_AS_THEY_LIE = sa.text(
    "SELECT set_config('enable_mergejoin', 'off', true), set_config('work_mem', '64MB', true), "
    "set_config('parallel_tuple_cost', '0.001', true)"
)
# Values that have this many characters together are read at a time, and the values of one task at least.
_MOST = 2_000_000


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
        prepare_to_read(self._connection)
        if self._engine.dialect.name == 'postgresql':
            self._connection.execute(sa.text('SET default_transaction_read_only = on'))
        else:
            self._connection.execute(sa.text('PRAGMA query_only = on'))
            self._connection.execute(sa.text('PRAGMA case_sensitive_like = on'))
        self._require('view', (SCHEDULED_VIEW, VIEW))

    def page(
        self, where: Filter, limit: int, before: Cursor | None = None, extent: Extent = WHOLE
    ) -> list[TrackedTask]:
        """List tasks, newest first. Results whose task is not stored (yet) come last, in the order of their ids.

        The list has such results only where the filter asks for nothing that only a task has, as a name.

        :param where: the tasks to list.
        :param limit: the most tasks.
        :param before: the cursor of the last task of the page before.
        :param extent: how much to read of the values that may be large.
        :returns: the tasks. They are fewer than the limit only where there are no more.
        :raises NotUsable: where the role may not read the views.
        """
        return [tracked_task(read(row._mapping, extent)) for row in self._page(where, limit, before, extent)]

    def stream(self, where: Filter, limit: int, extent: Extent = WHOLE) -> Iterator[TrackedTask]:
        """List tasks as `page` does, but in portions, so that they need not be in memory all at once.

        It finds the tasks first, and then reads them. So the state of a task may have changed meanwhile.

        :param where: the tasks to list.
        :param limit: the most tasks.
        :param extent: how much to read of the values that may be large.
        :raises NotUsable: where the role may not read the views.
        """
        if limit <= VALUES and extent.is_bounded:
            yield from self.page(where, limit, extent=extent)
        else:
            ids = [row.task_id for row in self._page(where, limit, None, None)]
            yield from (found for _, found in self._each(ids, extent) if found is not None)

    def find(self, task_ids: Collection[str], extent: Extent = WHOLE, where: Filter | None = None) -> list[TrackedTask]:
        """Look up tasks and results.

        :param task_ids: the ids.
        :param extent: how much to read of the values that may be large.
        :param where: the conditions that they must meet.
        :returns: those that are known, in any order.
        :raises NotUsable: where the role may not read the view.
        """
        ids = sorted({storable(task_id) for task_id in task_ids})
        met = (
            [] if where is None else [*indexed(where, EVERYTHING), *others(where, EVERYTHING), *by_stored_state(where)]
        )
        queries = (
            sa.select(*selected(EVERYTHING, extent)).where(EVERYTHING.task_id.in_(some), *met)
            for some in portions(ids, VALUES)
        )
        return [tracked_task(read(row._mapping, extent)) for query in queries for row in self._run(query)]

    def detailed(self, tasks: Iterable[TrackedTask], extent: Extent = WHOLE) -> Iterator[TrackedTask]:
        """Read more of tasks, in portions, which have few tasks where their values are large.

        :param tasks: the tasks.
        :param extent: how much to read of the values that may be large.
        :returns: the tasks in the same order; as they are where they are not known any more. They keep their names.
        :raises NotUsable: where the role may not read the view.
        """
        known = {task.task_id: task for task in tasks}
        for task_id, found in self._each(known, extent):
            task = known[task_id]
            yield task if found is None else replace(found, name=task.name)

    def get(self, task_id: str, extent: Extent = WHOLE) -> TrackedTask | None:
        """Look up one task or result, as `find` does.

        :returns: `None` where it is not known.
        """
        found = self.find([task_id], extent)
        return found[0] if found else None

    def workflow(self, task_id: str, limit: int = WORKFLOW_LIMIT, whole: bool = True) -> list[TrackedTask]:
        """List all tasks of the workflow to which a task belongs.

        Tasks belong to one workflow if they have the same root, parent or group, if one is in the chord whose header is
        the group of the other, and so on. A result whose task is not stored belongs to it if the message of a task
        mentions the result. One example is the failure of a body that Celery did not send because the header failed.

        :param task_id: the id of any of its tasks, stored or yet to be sent, or of its group.
        :param limit: the most tasks.
        :param whole: whether to read the tasks whole. Otherwise they have no results, and only those arguments and
            options from which `tree` and `overall` tell how the tasks belong together.
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
            ids = sorted(new - found.keys())[: limit - len(found)]
            rows = self.find(ids) if whole else self._structures(ids)
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
        return counted(self._summarised(counting(self._engine.dialect.name, since, bucket)))

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
            return summed(self._summarised(summing(since)), since)
        return summed(gathered(self._stream(listing(since))), since)

    def workers(self, since: datetime) -> list[ReportedWorker]:
        """List the workers that were seen since a time, the one that was seen last first.

        :param since: the time, with a time zone.
        :returns: a worker for each start.
        :raises NotUsable: where there is no table of workers, or the role may not read it.
        """
        self._require('table', (workers.name, monitors.name))
        return [worker_of(row) for row in self._run(listing_of_workers(self._engine.dialect.name, since))]

    def _page(self, where: Filter, limit: int, before: Cursor | None, extent: Extent | None) -> list[Any]:
        found: list[Any] = []
        if before is None or before.first_seen is not None:
            for query in scheduled(where, limit, before, extent):
                found = list(self._run(query))
                if len(found) == limit:
                    return found
            before = None
        if where.is_of_results:
            found += self._run(unscheduled(where, limit - len(found), before, extent))
        return found

    def _structures(self, task_ids: list[str]) -> list[TrackedTask]:
        return [bare(task) for _, task in self._each(task_ids, STRUCTURE) if task is not None]

    def _each(self, task_ids: Iterable[str], extent: Extent) -> Iterator[tuple[str, TrackedTask | None]]:
        for some in portions(list(task_ids), VALUES):
            for few in self._of_size(some, extent):
                found = {task.task_id: task for task in self.find(few, extent)}
                yield from ((task_id, found.get(task_id)) for task_id in few)

    def _of_size(self, task_ids: list[str], extent: Extent) -> Iterator[list[str]]:
        if extent.is_bounded:
            yield task_ids
            return
        asked = EVERYTHING.task_id.in_([storable(task_id) for task_id in task_ids])
        query = sa.select(EVERYTHING.task_id, size(EVERYTHING, extent).label('size')).where(asked)
        sizes = {row.task_id: row.size for row in self._run(query)}
        few: list[str] = []
        total = 0
        for task_id in task_ids:
            total += sizes.get(task_id, 0)
            if few and total > _MOST:
                yield few
                few, total = [], sizes.get(task_id, 0)
            few.append(task_id)
        yield few

    def _related(self, relatives: Iterable[tuple[str, str]], limit: int) -> set[str]:
        return {found for condition in related(relatives) for found in self._ids(condition, limit)}

    def _senders(self, task_ids: Iterable[str]) -> set[str]:
        return {found for condition in senders(task_ids) for found in self._ids(condition, WORKFLOW_LIMIT)}

    def _ids(self, condition: sa.ColumnElement[bool], limit: int) -> set[str]:
        # This reads ids alone: for the other columns, PostgreSQL would read all results to join them.
        return {row.task_id for row in self._run(sa.select(EVERYTHING.task_id).where(condition).limit(limit))}

    def _run(self, query: Any) -> Iterable[Any]:
        with refusing(' to show tasks'):
            return self._connection.execute(query)

    def _summarised(self, query: Any) -> list[Any]:
        """Run a query that joins many tasks with their results, and gives few rows, in a transaction of its own."""
        with self._engine.connect() as connection, refusing(' to show tasks'):
            if self._engine.dialect.name == 'postgresql':
                connection.execute(_AS_THEY_LIE)
            return list(connection.execute(query))

    def _stream(self, query: Any) -> Iterator[Any]:
        """Read rows portion by portion, in a transaction of their own: a cursor of PostgreSQL needs one."""
        with self._engine.connect() as connection:
            with refusing(' to show tasks'):
                rows = connection.execute(query, execution_options={'yield_per': _PORTION})
            yield from rows
