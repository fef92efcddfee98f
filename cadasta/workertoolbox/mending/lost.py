"""Prove that tasks are lost, by their rows and by what the broker holds.

A broker cannot be asked for one message. So what has not started is proved to be lost where its work queue holds
nothing at all, twice in a row. What has started is lost when its worker has not vouched for it for a while, and the
broker would have delivered its message again by now.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from celery import Celery, states

from ..architecture import CHORD_UNLOCK
from ..check.broker import connection_to
from ..database.connection import Connected, prepare_to_read
from ..database.tables import result_tables, task
from ..database.values import aware
from ..database.views import SCHEDULED_VIEW
from ..durations import written
from ..results.claim import NOW, text
from ..tracked.columns import SCHEDULED
from ..tracked.extent import LARGE
from ..tracked.filter import Filter, indexed, without_result
from ..tracked.portions import VALUES, portions
from ..tracked.task import TrackedTask, tracked_task
from .answers import Held
from .held import DeadLetters, WorkQueues

#: Nothing is called lost that happened within this many seconds: a worker may have a message and not have said so.
GRACE = 60.0
#: The broker is asked twice, with this pause between, in seconds. Some brokers count every five seconds.
PAUSE = 6.0
#: The platform queue has this many seconds to become empty.
PATIENCE = 10.0
_LOOK = 0.25
#: After a restart of PostgreSQL, the workers have this many seconds to renew their leases.
RENEWED = 120
# A queue is served where one of so many of its newest tasks has started.
_NEWEST = 1000
# So many rows are in memory at a time.
_BATCH = 1000

_LIGHT = [column for column in SCHEDULED if column.name not in (*LARGE, 'timelimit')]
_ENDED = tuple(sorted(states.READY_STATES))
_WAITING = ('RECEIVED', 'RETRY')

_STARTED_LATELY = "SELECT pg_postmaster_start_time() > now() - CAST(:seconds AS integer) * interval '1 second'"


@dataclass(frozen=True)
class Suspect:
    """A task that should have started or ended by now.

    :param task: the task, without its arguments and its result.
    :param proof: why it is lost; it is empty where that is not proved.
    :param doubt: why it is not proved.
    """

    task: TrackedTask
    proof: str = ''
    doubt: str = ''


@dataclass(frozen=True)
class Evidence:
    """The answers of the broker, and the reasons to doubt them.

    :param since: what happened after this time proves nothing.
    :param held: what the broker has of each routing key. It has nothing only where it said so twice.
    :param doubt: why the rows may be behind the broker; empty where they are not.
    :param are_leases_over: whether a lease that is over says that its worker is dead.
    """

    since: datetime
    held: Mapping[str | None, Held]
    doubt: str
    are_leases_over: bool


class Losses(Connected):
    """A search for tasks that are lost, as a context manager. It changes nothing.

    A role is enough that may SELECT from ``celery_task_scheduled``, ``celery_task`` and Celery's table of results.

    :param app: an app that is configured by a `cadasta.workertoolbox.conf.Config`.
    :param url: the URL of the database with the tables.
    :param management: the URL of RabbitMQ's management plugin, by which it tells what consumers hold.
    :raises NotUsable: where a URL cannot be used, or the view is missing.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached; any method may raise it.

    >>> from cadasta.workertoolbox.conf import Config
    >>> from cadasta.workertoolbox.monitor import upgrade
    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> upgrade('sqlite:///tasks.db')
    >>> with Losses(app, 'sqlite:///tasks.db') as losses:
    ...     list(losses.suspects(losses.gather()))
    []
    """

    def __init__(self, app: Celery, url: str, management: str | None = None) -> None:
        super().__init__(url)
        self._app = app
        self._management = management
        table, _ = result_tables(app.conf.database_table_names or {}, app.conf.database_table_schemas or {})
        self._results = table.c
        self._visibility = float((app.conf.broker_transport_options or {}).get('visibility_timeout') or 0)
        #: The messages that the broker has given up, as `gather` found them.
        self.dead_letters: list[DeadLetters] = []

    def _prepare(self) -> None:
        with self._connection.begin():
            prepare_to_read(self._connection)
        self._require('view', (SCHEDULED_VIEW,))
        self._connection.rollback()

    def gather(self) -> Evidence:
        """Ask the broker, twice, what it has of each routing key whose tasks are overdue.

        :raises Exception: what the client of the broker raises where it cannot be reached.
        """
        since = self._now() - timedelta(seconds=GRACE)
        are_leases_over = not self._is_restarted()
        keys = self._overdue_keys(since)
        with connection_to(self._app) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            queues = WorkQueues(self._app, connection, self._management)
            self.dead_letters = list(queues.dead_letters())
            if not keys:
                return Evidence(since, {}, '', are_leases_over)
            is_running = self._is_running()
            first = queues.look(keys, is_running)
            doubt = _wait_until_tracked(queues)
            time.sleep(PAUSE)
            second = queues.look(keys, is_running or self._is_running())
        watches = self._watches(since)
        held = {key: first[key].without(watches[key]).and_then(second[key].without(watches[key])) for key in keys}
        return Evidence(since, held, doubt, are_leases_over)

    def suspects(self, evidence: Evidence, where: Filter | None = None, ids: Collection[str] | None = None) -> Any:
        """Find the tasks that should have started or ended by now. They are read while they are asked for.

        :param evidence: what the broker has.
        :param where: the tasks to look at.
        :param ids: the ids of the tasks to look at; `None` for all.
        :returns: an iterator of each `Suspect`.
        """
        met = list(indexed(where or Filter(), SCHEDULED))
        if ids is None:
            return self._suspects(evidence, met)
        some = portions(sorted(ids), VALUES)
        return (
            suspect for portion in some for suspect in self._suspects(evidence, [*met, SCHEDULED.task_id.in_(portion)])
        )

    def _suspects(self, evidence: Evidence, met: list[sa.ColumnElement[bool]]) -> Iterator[Suspect]:
        for condition in self._not_started(evidence.since):
            for row in self._rows(sa.select(*_LIGHT, self._is_released(evidence.since)).where(*met, *condition)):
                held = evidence.held.get(row.routing_key, Held(None, 'it has become overdue only now'))
                proof, doubt = _nothing_held(held, row.routing_key), held.why_not_lost(row.task_id)
                if row.is_released:
                    proof, doubt = 'it was released to be sent again, and its message was never sent', ''
                yield _judged(row, evidence.doubt or doubt, proof)
        served: dict[str | None, datetime | None] = {}
        lease = self._results.lease
        started = sa.select(*_LIGHT, lease).join_from(
            SCHEDULED.task_id.table, self._results.task_id.table, self._results.task_id == SCHEDULED.task_id
        )
        for row in self._rows(started.where(*met, *_has_no_lease(), lease < evidence.since)):
            key = row.routing_key
            if key not in served:
                served[key] = self._last_start(key)
            yield self._judged_start(row, aware(row.lease), evidence, served[key])

    def _judged_start(self, row: Any, lease: datetime, evidence: Evidence, served: datetime | None) -> Suspect:
        found = _task(row)
        late = lease + timedelta(seconds=self._visibility)
        proof = f'its worker, {row.worker}, has not vouched for it since {lease:%Y-%m-%d %H:%M:%S} UTC'
        if not evidence.are_leases_over:
            return Suspect(found, doubt='PostgreSQL was started lately, and workers may not have renewed their leases')
        held = evidence.held.get(row.routing_key, Held(None))
        if held.ids is not None:
            doubt = held.why_not_lost(row.task_id)
            return _judged(row, doubt and f'{proof}. But {doubt}', proof)
        if held.messages == 0 or (evidence.since > late and served is not None and served > late):
            return Suspect(found, proof)
        until = written(timedelta(seconds=self._visibility))
        return Suspect(
            found,
            doubt=f'{proof}. With task_acks_late, the broker delivers it again after {until}, and nobody has started '
            'a task of its queue since',
        )

    def _not_started(self, since: datetime) -> Iterator[list[sa.ColumnElement[bool]]]:
        is_due = [
            SCHEDULED.last_seen < since,
            sa.or_(SCHEDULED.eta.is_(None), SCHEDULED.eta < since),
            sa.or_(SCHEDULED.expires.is_(None), SCHEDULED.expires > since + timedelta(seconds=GRACE)),
        ]
        # PostgreSQL finds each of them by another index.
        for is_pending in without_result():
            yield [is_pending, SCHEDULED.standing == 'queued', *is_due]
        yield [
            SCHEDULED.status.in_(_WAITING),
            SCHEDULED.standing.in_(('queued', 'retrying')),
            # Celery sends a retry, and then stores that it did.
            sa.or_(SCHEDULED.date_done.is_(None), SCHEDULED.date_done < since.replace(tzinfo=None)),
            *is_due,
        ]
        yield [SCHEDULED.name == CHORD_UNLOCK, SCHEDULED.status.is_(None), *is_due, ~self._has_sent_its_body()]

    def _is_released(self, since: datetime) -> sa.ColumnElement[bool]:
        """Make the column that says whether a row was released, and the platform has seen no message of its task since.

        The platform gets a message before the work queue does.
        """
        date_done, seen = self._results.date_done, SCHEDULED.last_seen
        if self._engine.dialect.name == 'postgresql':
            seen = sa.func.timezone('UTC', seen)
        released = sa.select(self._results.task_id).where(
            self._results.task_id == SCHEDULED.task_id,
            self._results.status == states.PENDING,
            date_done > seen,
            date_done < since.replace(tzinfo=None),
        )
        return released.exists().label('is_released')

    def _has_sent_its_body(self) -> sa.ColumnElement[bool]:
        """Make the condition that the body of a chord is there, so that the watch over the chord is over."""
        body_id = SCHEDULED.args[1, 'options', 'task_id'].as_string()
        sent = sa.select(task.c.task_id).where(task.c.task_id == body_id).exists()
        results = self._results
        failed = sa.select(results.task_id).where(results.task_id == body_id, results.status != states.PENDING).exists()
        # Without arguments, nobody knows the body.
        return sa.or_(body_id.is_(None), sent, failed)

    def _overdue_keys(self, since: datetime) -> set[str | None]:
        queries = [sa.select(SCHEDULED.routing_key).where(*condition) for condition in self._not_started(since)]
        queries.append(sa.select(SCHEDULED.routing_key).where(*_has_no_lease()))
        return {row.routing_key for query in queries for row in self._execute(query.distinct())}

    def _watches(self, since: datetime) -> Counter[str | None]:
        """Count the watches over chords that have a message in each queue, whenever somebody looks.

        A watch sends itself again before its message is acknowledged, each second. One that does so after the broker
        was asked, and was there before, had a message when it was asked. Without this, a chord that waits for a lost
        task would keep its queue from being empty, and the task from being proved to be lost.
        """
        asked = self._now()
        alive = [SCHEDULED.name == CHORD_UNLOCK, SCHEDULED.status.is_(None), SCHEDULED.first_seen < since]
        counts = sa.select(SCHEDULED.routing_key, sa.func.count().label('watches')).group_by(SCHEDULED.routing_key)
        if not self._execute(counts.where(*alive, SCHEDULED.last_seen >= since)):
            return Counter()
        time.sleep(PAUSE)
        found = self._execute(counts.where(*alive, SCHEDULED.last_seen > asked))
        return Counter({row.routing_key: row.watches for row in found})

    def _last_start(self, key: str | None) -> datetime | None:
        newest = (
            sa.select(SCHEDULED.started)
            .where(SCHEDULED.routing_key == key)
            .order_by(SCHEDULED.first_seen.desc())
            .limit(_NEWEST)
            .subquery()
        )
        started = self._connection.execute(sa.select(sa.func.max(newest.c.started))).scalar()
        return None if started is None else aware(started)

    def _is_running(self) -> bool:
        query = sa.select(SCHEDULED.task_id).where(
            SCHEDULED.status.not_in((*_ENDED, *_WAITING)), SCHEDULED.standing == 'running'
        )
        return bool(self._execute(query.limit(1)))

    def _is_restarted(self) -> bool:
        if self._engine.dialect.name != 'postgresql':
            return False
        return bool(self._execute(sa.text(_STARTED_LATELY).bindparams(seconds=RENEWED))[0][0])

    def _now(self) -> datetime:
        (row,) = self._execute(text('SELECT {now}', {'now': NOW[self._engine.dialect.name]}))
        return aware(datetime.fromisoformat(row[0]) if isinstance(row[0], str) else row[0])

    def _execute(self, query: Any) -> list[Any]:
        # Each statement is a transaction of its own: a long one would keep PostgreSQL from cleaning up old rows.
        with self._connection.begin():
            return list(self._connection.execute(query))

    def _rows(self, query: Any) -> Iterator[Any]:
        with self._connection.begin():
            yield from self._connection.execute(query, execution_options={'yield_per': _BATCH})


def _has_no_lease() -> list[sa.ColumnElement[bool]]:
    # PostgreSQL has an index of the states, and none of the standing.
    return [SCHEDULED.status.not_in((*_ENDED, *_WAITING)), SCHEDULED.standing == 'lost']


def _wait_until_tracked(queues: WorkQueues) -> str:
    """Wait until the platform queue is empty. Say why the rows may be behind the broker, if it does not become so."""
    end = time.monotonic() + PATIENCE
    while True:
        depth = queues.untracked()
        if depth is None:
            return 'nobody can tell whether the platform queue is empty'
        waiting = depth.waiting + depth.received + depth.delayed
        if not waiting:
            return ''
        if time.monotonic() > end:
            return f'the platform queue has {waiting} messages that no monitor has stored yet'
        time.sleep(_LOOK)


def _nothing_held(held: Held, key: str | None) -> str:
    has = 'does not have its message' if held.messages else 'has no message'
    return f'the queue of the routing key {key!r} {has}, neither waiting nor received, and had not before'


def _judged(row: Any, doubt: str, proof: str) -> Suspect:
    return Suspect(_task(row), doubt=doubt) if doubt else Suspect(_task(row), proof)


def _task(row: Any) -> TrackedTask:
    return tracked_task({column.name: getattr(row, column.name) for column in _LIGHT})
