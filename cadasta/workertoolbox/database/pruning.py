"""Delete what is old from the tables, portion by portion, and hold nobody up."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..errors import NotUsable
from ..seams.sqlalchemy_quoting import QUOTE
from .connection import Connected
from .faults import refusing
from .quoting import literal
from .tables import monitors, rejected, result_tables, task, workers
from .views import SCHEDULED_VIEW, VIEW

#: The most rows that a transaction deletes from a table.
PORTION = 1_000
#: The standings of a task that has not ended.
_UNFINISHED = ('waiting', 'queued', 'running', 'retrying', 'lost')
# The archive has this column behind those of the view.
_ARCHIVED = 'archived'


class Pruned(NamedTuple):
    """The numbers of rows that were deleted from each table, or would be.

    :param tasks: those of ``celery_task``.
    :param results: those of the table of results.
    :param groups: those of the table of saved groups.
    :param rejected: those of ``celery_task_rejected``.
    :param workers: those of ``celery_worker`` and ``celery_monitor``.
    """

    tasks: int
    results: int
    groups: int
    rejected: int
    workers: int


@dataclass(frozen=True)
class Retention:
    """For how long the tables keep what they have.

    :param length: how long they keep it.
    :param failures: how long they keep tasks that failed; as long as others where it is `None`.
    :param unfinished: whether tasks that have not ended are deleted too.
    """

    length: timedelta
    failures: timedelta | None = None
    unfinished: bool = False


class Pruning(Connected):
    """A connection to the database by which old rows are deleted, as a context manager.

    A task is old if its last message and its result are. A task that has not ended is kept.

    :param url: the database's URL, with a role that may delete from the tables.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :param archive: the name of a table that gets what is deleted of tasks and results. It is created where it is
        missing.
    :raises NotUsable: where the URL is not that of such a database, a table or view is missing, or the archive lacks a
        column.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox.database.upgrade import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> with Pruning('sqlite:///tasks.db') as pruning:
    ...     pruning.prune(Retention(timedelta(days=90)))
    Pruned(tasks=0, results=0, groups=0, rejected=0, workers=0)
    """

    def __init__(
        self,
        url: str,
        names: Mapping[str, str] | None = None,
        schemas: Mapping[str, str] | None = None,
        archive: str | None = None,
    ) -> None:
        super().__init__(url)
        self._results, self._groups = result_tables(names or {}, schemas or {})
        self._archive = None if archive is None else _table(archive)

    def _prepare(self) -> None:
        self._require('view', (VIEW, SCHEDULED_VIEW))
        self._require('table', (workers.name, monitors.name))
        self._connection.rollback()

    def count(self, retention: Retention) -> Pruned:
        """Count the rows that `prune` would delete.

        :raises NotUsable: where the role may not read a table or view.
        """
        cutoffs = _Cutoffs(retention)
        is_old = cutoffs.are_old(_TASKS)
        has_result = sa.exists().where(self._results.c.task_id == _TASKS.task_id)
        alone = cutoffs.are_old(_ALL) & _ALL.first_seen.is_(None) & (_ALL.date_done < cutoffs.newest_naive)
        queries = (
            sa.select(sa.func.count()).where(is_old, _TASKS.first_seen < cutoffs.newest),
            sa.select(sa.func.count()).where(is_old, _TASKS.first_seen < cutoffs.newest, has_result),
            sa.select(sa.func.count()).where(alone),
            sa.select(sa.func.count()).where(self._groups.c.date_done < cutoffs.naive),
            sa.select(sa.func.count()).where(rejected.c.last_seen < cutoffs.length),
            sa.select(sa.func.count()).where(workers.c.last_seen < cutoffs.length),
            sa.select(sa.func.count()).where(monitors.c.last_seen < cutoffs.length),
        )
        with refusing():
            tasks, results, others, groups, messages, *boots = (
                self._connection.scalar(query) or 0 for query in queries
            )
            self._connection.rollback()
        return Pruned(tasks, results + others, groups, messages, sum(boots))

    def prune(self, retention: Retention) -> Pruned:
        """Delete what is old.

        It deletes at most 1,000 rows of a table in a transaction, leaves out rows that somebody else has locked, and
        then pauses for as long as the transaction took.

        :raises NotUsable: where the role may not delete from a table.
        """
        cutoffs = _Cutoffs(retention)
        tasks = results = 0
        with refusing():
            self._prepare_archive()
            for page in (self._old_tasks, self._old_results):
                for ids in self._pages(page, cutoffs):
                    deleted = self._delete(ids, cutoffs)
                    tasks, results = tasks + deleted[0], results + deleted[1]
            groups = self._delete_by_key(self._groups.c.id, self._groups.c.date_done < cutoffs.naive)
            messages = self._delete_by_key(rejected.c.digest, rejected.c.last_seen < cutoffs.length)
            boots = sum(
                self._delete_by_key(table.c.boot, table.c.last_seen < cutoffs.length) for table in (workers, monitors)
            )
        return Pruned(tasks, results, groups, messages, boots)

    def _pages(self, page: Any, cutoffs: '_Cutoffs') -> Iterator[list[str]]:
        """Give the ids of tasks that may be deleted. The caller deletes them in the transaction of the page."""
        after: Any = None
        while True:
            began = time.monotonic()
            with self._connection.begin():
                rows = self._connection.execute(page(cutoffs, after)).all()
                yield [row.task_id for row in rows if row.is_old]
            if len(rows) < PORTION:
                return
            after = rows[-1]
            time.sleep(time.monotonic() - began)

    def _old_tasks(self, cutoffs: '_Cutoffs', after: Any) -> Any:
        # The index has them in this order. Tasks that are kept are looked at once.
        query = sa.select(_TASKS.task_id, _TASKS.first_seen, cutoffs.are_old(_TASKS).label('is_old'))
        query = query.where(_TASKS.first_seen < cutoffs.newest).order_by(_TASKS.first_seen, _TASKS.task_id)
        if after is not None:
            place = sa.tuple_(after.first_seen, after.task_id, types=[_TASKS.first_seen.type, _TASKS.task_id.type])
            query = query.where(sa.tuple_(_TASKS.first_seen, _TASKS.task_id) > place)
        return query.limit(PORTION)

    def _old_results(self, cutoffs: '_Cutoffs', after: Any) -> Any:
        query = sa.select(_ALL.task_id, cutoffs.are_old(_ALL).label('is_old'))
        query = query.where(_ALL.first_seen.is_(None), _ALL.date_done < cutoffs.newest_naive).order_by(_ALL.task_id)
        if after is not None:
            query = query.where(_ALL.task_id > after.task_id)
        return query.limit(PORTION)

    def _delete(self, ids: list[str], cutoffs: '_Cutoffs') -> tuple[int, int]:
        if not ids:
            return 0, 0
        held = self._held(task, ids) | self._held(self._results, ids)
        free = sorted(task_id for task_id in ids if task_id not in held)
        # Nobody changes them now. Until here, somebody may have sent one again.
        query = sa.select(_ALL.task_id).where(_ALL.task_id.in_(free), cutoffs.are_old(_ALL))
        old = sorted(self._connection.scalars(query))
        self._copy(old)
        return self._drop(task.c.task_id, old), self._drop(self._results.c.task_id, old)

    def _held(self, table: sa.Table, ids: list[str]) -> set[str]:
        """Lock the rows of tasks, and give the ids of those that somebody else has locked. Nobody waits."""
        rows = sa.select(table.c.task_id).where(table.c.task_id.in_(ids))
        locked = set(self._connection.scalars(rows.with_for_update(skip_locked=True)))
        return set(self._connection.scalars(rows)) - locked

    def _drop(self, key: sa.Column[Any], values: Iterable[Any]) -> int:
        return self._connection.execute(sa.delete(key.table).where(key.in_(values))).rowcount

    def _delete_by_key(self, key: sa.Column[Any], is_old: sa.ColumnElement[bool]) -> int:
        """Delete old rows of a table that has no index for their age, in the order of their key."""
        count, last = 0, None
        while True:
            began = time.monotonic()
            with self._connection.begin():
                query = sa.select(key).where(is_old).order_by(key).limit(PORTION).with_for_update(skip_locked=True)
                keys = list(self._connection.scalars(query if last is None else query.where(key > last)))
                count += self._drop(key, keys)
            if len(keys) < PORTION:
                return count
            last = keys[-1]
            time.sleep(time.monotonic() - began)

    def _prepare_archive(self) -> None:
        if self._archive is None:
            return
        name = QUOTE.format_table(self._archive)
        with self._connection.begin():
            inspector = sa.inspect(self._connection)
            columns = [column['name'] for column in inspector.get_columns(VIEW)]
            if not inspector.has_table(self._archive.name, schema=self._archive.schema):
                # A role that may not create tables needs one that is there.
                query = f'SELECT {VIEW}.*, first_seen AS {_ARCHIVED} FROM {VIEW} WHERE 1 = 0'
                self._connection.execute(literal(f'CREATE TABLE {name} AS {query}'))
            present = {
                column['name'] for column in inspector.get_columns(self._archive.name, schema=self._archive.schema)
            }
        missing = [column for column in (*columns, _ARCHIVED) if column not in present]
        if missing:
            raise NotUsable(f'The table {name} has no column {missing[0]!r}: add it, or name another table')
        name = name.replace(':', '\\:')
        self._copying = (
            f'INSERT INTO {name} ({", ".join(columns)}, {_ARCHIVED}) '
            f'SELECT {", ".join(columns)}, CURRENT_TIMESTAMP FROM {VIEW} WHERE task_id IN :ids'
        )

    def _copy(self, ids: list[str]) -> None:
        if self._archive is not None and ids:
            statement = sa.text(self._copying).bindparams(sa.bindparam('ids', expanding=True))
            self._connection.execute(statement, {'ids': ids})


class _Cutoffs:
    """The times before which something is old."""

    def __init__(self, retention: Retention) -> None:
        now = datetime.now(UTC)
        failures = retention.length if retention.failures is None else retention.failures
        self._unfinished = retention.unfinished
        self.length = now - retention.length
        self.failures = now - failures
        self.newest = max(self.length, self.failures)
        # Celery's tables have no time zone.
        self.naive, self.newest_naive = (time.replace(tzinfo=None) for time in (self.length, self.newest))

    def are_old(self, columns: Any) -> sa.ColumnElement[bool]:
        """Make the condition on the rows of a view that may be deleted."""
        failed = columns.standing == 'failed'
        met = sa.or_(
            sa.and_(failed, _is_before(columns, self.failures)),
            sa.and_(~failed, _is_before(columns, self.length)),
        )
        return met if self._unfinished else sa.and_(met, columns.standing.not_in(_UNFINISHED))


def _is_before(columns: Any, cutoff: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        sa.or_(columns.last_seen.is_(None), columns.last_seen < cutoff),
        sa.or_(columns.date_done.is_(None), columns.date_done < cutoff.replace(tzinfo=None)),
    )


def _view(name: str) -> Any:
    columns = [sa.column(column.name, column.type) for column in (task.c.task_id, task.c.first_seen, task.c.last_seen)]
    return sa.table(name, *columns, sa.column('date_done', sa.DateTime()), sa.column('standing', sa.String())).c


_TASKS = _view(SCHEDULED_VIEW)
_ALL = _view(VIEW)


def _table(name: str) -> sa.Table:
    schema, _, name = name.rpartition('.')
    return sa.Table(name, sa.MetaData(), schema=schema or None)
