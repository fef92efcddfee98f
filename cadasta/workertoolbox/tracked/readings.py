"""Read in the database how the platform is. All ages are by the clock of the database."""

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..architecture import key_of
from ..database.connection import Connected, prepare_to_read
from ..database.dialects import NOW
from ..database.faults import refusing
from ..database.tables import MONITOR_TABLES, monitors, outbox, rejected, task, workers
from ..database.values import aware
from ..errors import NotUsable
from .columns import SCHEDULED
from .ended import EndedTask, ended, ending
from .filter import Filter, by_state
from .query import TrackedTasks
from .workers import ReportedWorker

#: A worker that has been silent for longer than this was missed already, or is missed by nobody.
SILENT_FOR = timedelta(days=1)
#: A monitor that has not written for longer than this is not at work. It writes each 10 seconds.
AT_WORK = timedelta(minutes=1)
#: The database has so long to answer, in seconds.
TIMEOUT = 10
#: So many rows are counted, and no more.
MOST = 10_000
# A queue moves where one of so many of its newest tasks has started.
_NEWEST = 1000


class Unpublished(NamedTuple):
    """The messages of an outbox.

    :param waiting: those that no relay has published, up to `MOST`.
    :param oldest: how long ago the first of these was written, in seconds.
    :param kept: those that were kept aside because they can never be published, up to `MOST`.
    """

    waiting: int
    oldest: float
    kept: int


class OutboxReadings(Connected):
    """A connection to a database that has an outbox, as a context manager. It writes nothing.

    :param url: the database's URL.
    :raises NotUsable: where there is no such table.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox import upgrade_outbox
    >>> upgrade_outbox('sqlite:///shop.db')
    >>> with OutboxReadings('sqlite:///shop.db') as readings:
    ...     readings.unpublished()
    Unpublished(waiting=0, oldest=0.0, kept=0)
    """

    _maker = 'celery toolbox tables --outbox'

    def _prepare(self) -> None:
        self._connection.execution_options(isolation_level='AUTOCOMMIT')
        prepare_to_read(self._connection)
        _set_timeout(self._connection)
        self._require('table', (outbox.name,))

    def unpublished(self) -> Unpublished:
        """Tell what waits in the outbox.

        :raises NotUsable: where the role may not read it.
        """
        return _unpublished(self._connection)


class Readings(TrackedTasks):
    """A connection to the database that the monitor writes, as a context manager. It writes nothing.

    :param url: the database's URL.
    :raises NotUsable: where a table or view is missing.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox import upgrade
    >>> upgrade('sqlite:///tasks.db')
    >>> with Readings('sqlite:///tasks.db') as readings:
    ...     readings.lag(), readings.lost(), readings.rejected()
    (None, 0, 0)
    """

    def _prepare(self) -> None:
        super()._prepare()
        _set_timeout(self._connection)
        self._require('table', [table.name for table in MONITOR_TABLES])

    def lag(self) -> float | None:
        """Tell how long ago a monitor had stored all that was in the platform queue, in seconds; `None` for never."""
        return self._age(sa.select(sa.func.max(monitors.c.caught_up)))

    def has_monitor(self) -> bool:
        """Tell whether any monitor has not said that it ended. It may have been killed."""
        return bool(self._scalar(sa.select(monitors.c.boot).where(monitors.c.ended.is_(None)).limit(1)))

    def newest(self) -> float | None:
        """Tell how long ago the monitor last stored a new task or a report, in seconds; `None` for never."""
        newest_task = sa.select(task.c.last_seen).order_by(task.c.first_seen.desc()).limit(1)
        return self._least_age(newest_task, sa.select(sa.func.max(workers.c.last_seen)))

    def lost(self) -> int:
        """Count the tasks that have started and for which no worker vouches any more."""
        (conditions,) = by_state(Filter(standing='lost'))
        return self._count(sa.select(SCHEDULED.task_id).where(*conditions, SCHEDULED.standing == 'lost'))

    def rejected(self) -> int:
        """Count the messages that could not be read."""
        return self._count(sa.select(rejected.c.digest))

    def unpublished(self) -> Unpublished | None:
        """Tell what waits in the outbox; `None` where this database has none, or the role may not read it."""
        with suppress(NotUsable):
            self._require('table', (outbox.name,))
            return _unpublished(self._connection)
        return None

    def reported(self) -> list[ReportedWorker]:
        """List the workers that were seen lately."""
        return self.workers(self.now() - SILENT_FOR)

    def monitors(self) -> int:
        """Count the monitors that are at work: they have written so lately, and have not said that they ended."""
        is_at_work = (monitors.c.ended.is_(None), monitors.c.last_seen >= self.now() - AT_WORK)
        return self._count(sa.select(monitors.c.boot).where(*is_at_work))

    def recent_names(self) -> list[str]:
        """List the names of the tasks that were first seen last."""
        newest = sa.select(task.c.name).order_by(task.c.first_seen.desc()).limit(_NEWEST).subquery()
        return sorted(row.name for row in self._run(sa.select(newest.c.name).distinct()))

    def ended(self, after: datetime, until: datetime, most: int) -> list[EndedTask]:
        """Find the tasks that ended after a time, and not later than another one.

        :param after: the first time.
        :param until: the other time.
        :param most: the most tasks to find.
        """
        first, last = (time.astimezone(UTC).replace(tzinfo=None) for time in (after, until))
        return ended(self._run(ending(first, last, most)))

    def queued(self, routing_key: str, newest: int = _NEWEST) -> tuple[int, float]:
        """Count the tasks of a queue that have yet to start.

        :param routing_key: the routing key of its tasks.
        :param newest: so many of its newest tasks are looked at.
        :returns: their number, and for how long nobody has started any of them, in seconds.
        """
        found = _newest(routing_key, newest)
        is_queued = found.standing == 'queued'
        times = [
            sa.func.min(sa.case((is_queued, found.first_seen))),
            *map(sa.func.max, (found.started, found.date_done)),
        ]
        ((number, now, *moments),) = self._run(sa.select(sa.func.count().filter(is_queued), self._now, *times))
        ages = [(_moment(now) - aware(time)).total_seconds() for time in moments if time is not None]
        return number, max(min(ages), 0.0) if number else 0.0

    def now(self) -> datetime:
        """Tell the time of the database."""
        return _moment(self._scalar(sa.select(self._now)))

    def stuck(self, routing_key: str) -> float | None:
        """Tell for how long a queue has had tasks to start and nobody started any, in seconds.

        :param routing_key: the routing key of its tasks.
        :returns: `None` where no task is known that has to start.
        """
        number, seconds = self.queued(routing_key)
        return seconds if number else None

    def idle(self, routing_key: str) -> float:
        """Tell how long ago a task of a queue last started or ended, in seconds; infinity for never."""
        newest = _newest(routing_key)
        # Workers of version 1.0 do not say when a task started.
        age = self._least_age(*(sa.select(sa.func.max(column)) for column in (newest.started, newest.date_done)))
        return float('inf') if age is None else age

    def _count(self, query: Any) -> int:
        return int(self._scalar(sa.select(sa.func.count()).select_from(query.limit(MOST).subquery())))

    def _least_age(self, *queries: Any) -> float | None:
        return min((age for age in map(self._age, queries) if age is not None), default=None)

    def _age(self, query: Any) -> float | None:
        ((time, now),) = self._run(sa.select(query.scalar_subquery(), self._now))
        return None if time is None else max((_moment(now) - aware(time)).total_seconds(), 0)

    @property
    def _now(self) -> sa.ColumnElement[Any]:
        return NOW[self._engine.dialect.name]

    def _scalar(self, query: Any) -> Any:
        return next((row[0] for row in self._run(query)), None)


def _set_timeout(connection: sa.Connection) -> None:
    if connection.dialect.name == 'postgresql':
        connection.execute(sa.text(f"SET statement_timeout = '{TIMEOUT}s'"))


def _unpublished(connection: sa.Connection) -> Unpublished:
    waits, is_kept = outbox.c.reason.is_(None), outbox.c.reason.is_not(None)
    # PostgreSQL has an index of this order. The transaction that began first is about the oldest.
    oldest = sa.select(outbox.c.written).where(waits).order_by(outbox.c.transaction_id, outbox.c.id).limit(1)
    columns = [
        *(
            sa.select(sa.func.count()).select_from(sa.select(outbox.c.id).where(which).limit(MOST).subquery())
            for which in (waits, is_kept)
        ),
        oldest,
    ]
    now = NOW[connection.dialect.name]
    with refusing(' to look at the outbox'):
        row = connection.execute(sa.select(now, *(column.scalar_subquery() for column in columns))).one()
    moment, waiting, kept, written = row
    age = 0.0 if written is None else max((_moment(moment) - aware(written)).total_seconds(), 0.0)
    return Unpublished(waiting, age, kept)


def _moment(now: datetime | str) -> datetime:
    # SQLite has no type for times.
    return aware(datetime.fromisoformat(now) if isinstance(now, str) else now)


def _newest(routing_key: str, newest: int = _NEWEST) -> Any:
    columns = (SCHEDULED.started, SCHEDULED.date_done, SCHEDULED.first_seen, SCHEDULED.standing)
    query = sa.select(*columns).where(SCHEDULED.routing_key == routing_key)
    return query.order_by(SCHEDULED.first_seen.desc()).limit(newest).subquery().c


def silent(reported: list[ReportedWorker]) -> list[ReportedWorker]:
    """List the silent workers, without those that were started again."""
    seen: set[str] = set()
    found = []
    # The one that was seen last comes first.
    for worker in reported:
        if worker.standing == 'silent' and worker.name not in seen:
            found.append(worker)
        seen.add(worker.name)
    return found


def consumers(reported: list[ReportedWorker]) -> Counter[str]:
    """Count the living workers that consume each queue."""
    return Counter(queue for worker in reported if worker.standing == 'alive' for queue in worker.queues)


def consumers_by_key(reported: list[ReportedWorker]) -> Counter[str]:
    """Count the living workers that serve each routing key. The key of workers that have all ended has none."""
    found = Counter({key_of(queue): 0 for worker in reported for queue in worker.queues})
    for queue, number in consumers(reported).items():
        found[key_of(queue)] += number
    return found
