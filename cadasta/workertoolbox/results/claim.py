"""The statements by which a run claims its task, and later stores its states. Each is one round trip.

A row holds the claim of the run that started last: its ``worker``, the number of the run (``runs``), which try of the
task it is (``replaced``, ``retries``), and until when the worker has vouched for it (``lease``). The clock is the
database's. A failure has a lease as long as its worker has not told those who depend on the task.

In PostgreSQL, a row also has the ``role`` that made the claim. No other role may change it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from celery import states
from sqlalchemy.engine import Connection, Dialect

from ..database.ownership import ROLE, may_write
from ..database.tables import sequence
from ..seams.sqlalchemy_quoting import QUOTE

#: The columns that version 1.0 did not have or did not fill.
COLUMNS = ('started', 'worker', 'lease', 'runs', 'retries', 'replaced', ROLE)

_ENDED = f'({", ".join(repr(state) for state in sorted(states.READY_STATES))})'
_NOT_STARTED = "('PENDING', 'RECEIVED')"
# Any other state, such as one of the task's own, is that of a task which runs.
_NOT_RUNNING = f'({", ".join(repr(state) for state in sorted({"PENDING", "RECEIVED", "RETRY", *states.READY_STATES}))})'

_CLAIM = """
INSERT INTO {table} AS stored
    ({id}task_id, {columns}, started, worker, lease, runs, retries, replaced)
VALUES ({next_id}:task_id, {values}, {now}, :worker, {lease}, 1, :retries, :replaced)
ON CONFLICT (task_id) DO UPDATE SET
    {changes},
    started = excluded.started, worker = excluded.worker, lease = excluded.lease,
    runs = COALESCE(stored.runs, 0) + CASE WHEN {is_this_claim} THEN 0 ELSE 1 END,
    retries = excluded.retries, replaced = excluded.replaced, role = excluded.role
WHERE {may_write} AND (
    stored.status IN {not_started}
    -- A later try. Celery publishes it before it stores that the earlier one is over.
    OR (stored.status NOT IN {ended}
        AND (excluded.replaced, excluded.retries) > (COALESCE(stored.replaced, 0), COALESCE(stored.retries, 0)))
    -- Nobody vouches for its run any more, or it runs in a worker that claims nothing.
    OR (stored.status NOT IN {not_running} AND (stored.lease IS NULL OR {end_of_lease} < {now})
        AND (excluded.replaced, excluded.retries) >= (COALESCE(stored.replaced, 0), COALESCE(stored.retries, 0)))
    -- This very claim, whose answer was lost.
    OR ({is_this_claim}))
RETURNING runs"""

_STORE_OWN = """
UPDATE {table} SET {own_changes}
WHERE task_id = :task_id AND worker = :worker AND runs = :runs AND status NOT IN {ended}
RETURNING runs"""

_STORE = """
INSERT INTO {table} AS stored ({id}task_id, {columns}, runs, role)
VALUES ({next_id}:task_id, {values}, :runs, {role})
ON CONFLICT (task_id) DO UPDATE SET {changes}, lease = {lease_kept}
WHERE {may_write} AND stored.status NOT IN {kept} AND (
    stored.status IN {not_running} OR stored.worker = :worker OR stored.lease IS NULL OR stored.lease < {now})
RETURNING runs"""

_TELL = """
UPDATE {table} AS stored SET worker = :worker, lease = {lease}
WHERE task_id = :task_id AND status = 'FAILURE' AND lease IS NOT NULL AND {end_of_lease} < {now}
RETURNING runs"""

_EXPLAIN = """
SELECT status, worker, runs, COALESCE(replaced, 0), COALESCE(retries, 0), {remaining}, role, {may_write}
FROM {table} AS stored
WHERE task_id = :task_id"""

_RENEW = """
UPDATE {table} SET lease = {lease}
WHERE task_id IN :task_ids AND worker = :worker
    AND (status NOT IN {not_running} OR (status = 'FAILURE' AND lease IS NOT NULL))
RETURNING task_id"""

_CANCELLED = """
SELECT task_id FROM {table}
WHERE task_id IN :task_ids AND worker = :worker AND status = 'REVOKED'"""

_RELEASE = """
UPDATE {table} SET lease = NULL
WHERE task_id = :task_id AND worker = :worker AND runs = :runs"""

_DISOWN = """
UPDATE {table} SET role = NULL
WHERE task_id = :task_id AND worker = :worker AND runs = :runs"""

_PROBE = 'SELECT {columns} FROM {table} WHERE 1 = 0'

# SQLite counts milliseconds, and SQLAlchemy reads microseconds.
# A task that was never started belongs to nobody.
_ROLE = {'postgresql': 'CASE WHEN CAST(:runs AS integer) = 0 THEN NULL ELSE current_user END', 'sqlite': 'NULL'}
#: The present time.
NOW = {'postgresql': 'now()', 'sqlite': "strftime('%Y-%m-%d %H:%M:%f000', 'now')"}
_LEASE = {
    'postgresql': "now() + CAST(:seconds AS integer) * interval '1 second'",
    'sqlite': "strftime('%Y-%m-%d %H:%M:%f000', 'now', :seconds || ' seconds')",
}
#: When a state was reached, which may be some seconds before it is stored, if the database was away.
DONE = {
    'postgresql': "timezone('UTC', now()) - CAST(:age AS double precision) * interval '1 second'",
    'sqlite': "strftime('%Y-%m-%d %H:%M:%f000', 'now', -:age || ' seconds')",
}
# Workers could not renew their leases while the server was down.
_END_OF_LEASE = {
    'postgresql': (
        "GREATEST(stored.lease, pg_postmaster_start_time() + CAST(:seconds AS integer) * interval '1 second')"
    ),
    'sqlite': 'stored.lease',
}
_REMAINING = {
    'postgresql': (
        f'CASE WHEN stored.lease IS NOT NULL THEN EXTRACT(EPOCH FROM {_END_OF_LEASE["postgresql"]} - now()) END'
    ),
    'sqlite': "(julianday(stored.lease) - julianday('now')) * 86400",
}


@dataclass(frozen=True)
class Claim:
    """A run that may store states of its task.

    :param runs: how often the task has been started, this run included.
    """

    runs: int


@dataclass(frozen=True)
class Telling(Claim):
    """A run that failed, and has not told those who depend on its task yet."""


@dataclass(frozen=True)
class Failed(Claim):
    """A task that failed, in a worker that died before it had told those who depend on the task."""


@dataclass(frozen=True)
class Over:
    """A task that must not run again.

    :param reason: why not.
    """

    reason: str


@dataclass(frozen=True)
class Running:
    """A task that another run has claimed.

    :param worker: the worker of the other run.
    :param seconds: after how long it is worth to ask again.
    """

    worker: str | None
    seconds: float


@dataclass(frozen=True)
class Impossible:
    """A task that the database cannot hold.

    :param reason: why not.
    """

    reason: str


#: The database's answer to the start of a task.
Answer = Claim | Over | Running | Impossible


def answer(request: Any) -> Answer | None:
    """Tell what became of the start of a task; `None` where it has not started, or nobody claims tasks.

    :param request: the request of the task. A message may say anything under this name, which means nothing.
    """
    found = getattr(request, 'toolbox_claim', None)
    return found if isinstance(found, Answer) else None


@dataclass(frozen=True)
class Holder:
    """The run that has the claim, as the row of its task describes it.

    :param state: the state of the task.
    :param worker: the worker that claimed it.
    :param runs: how often the task has been started.
    :param attempt: which try of the task it is: how often it replaced itself, and its retries.
    :param remaining: for how many seconds the worker vouches for it; `None` where nobody does.
    :param role: the role that stored it.
    :param is_writable: whether the present role may change it.
    """

    state: str
    worker: str | None
    runs: int | None
    attempt: tuple[int, int]
    remaining: float | None
    role: str | None
    is_writable: bool

    def is_telling(self, attempt: tuple[int, int]) -> bool:
        """Tell whether the task has failed, and those who depend on it may not know yet.

        :param attempt: which try of the task a message is.
        """
        return self.state == states.FAILURE and self.remaining is not None and self.attempt == attempt

    def refuses(self, attempt: tuple[int, int]) -> Over | Running | Impossible:
        """Tell what becomes of a message whose claim the database refused.

        :param attempt: which try of the task the message is.
        """
        if self.state in states.READY_STATES and not self.is_telling(attempt):
            return Over(f'it ended before, as {self.state}')
        if not self.is_writable:
            return Impossible(f'its row belongs to role {self.role}, and this worker has another role')
        if self.attempt > attempt or self.state == states.RETRY:
            return Over('a later try of it was sent')
        return Running(self.worker, max(self.remaining or 0.0, 0.0) + 1)


def insert_parts(table: sa.Table, dialect: Dialect) -> dict[str, str]:
    """Give the parts of a statement that inserts a row of results, unless a row says that its task has ended.

    :param table: the table.
    :param dialect: the dialect of its database. SQLite numbers the rows by itself.
    """
    on_postgresql = dialect.name == 'postgresql'
    return {
        'table': QUOTE.format_table(table),
        'id': 'id, ' if on_postgresql else '',
        'next_id': f"nextval('{QUOTE.format_sequence(sequence(table))}'), " if on_postgresql else '',
        'ended': _ENDED,
        'may_write': may_write(table, 'stored.') if on_postgresql else '1 = 1',
    }


class Statements:
    """The statements for one table of results.

    :param table: the table.
    :param dialect: the dialect of its database.
    :param columns: Celery's columns that are stored with each state.
    """

    def __init__(self, table: sa.Table, dialect: Dialect, columns: Iterable[str]) -> None:
        columns = [column for column in columns if column not in COLUMNS]
        given = {**{column: f':{column}' for column in columns}, 'date_done': DONE[dialect.name]}
        own = [f'{column} = {value}' for column, value in given.items()]
        parts = {
            **insert_parts(table, dialect),
            'columns': ', '.join(columns),
            'values': ', '.join(given.values()),
            'changes': ', '.join(f'{column} = excluded.{column}' for column in columns),
            'role': _ROLE[dialect.name],
            'now': NOW[dialect.name],
            'lease': _LEASE[dialect.name],
            'end_of_lease': _END_OF_LEASE[dialect.name],
            'remaining': _REMAINING[dialect.name],
            'is_this_claim': 'stored.worker = excluded.worker AND stored.result = excluded.result',
            'not_started': _NOT_STARTED,
            'not_running': _NOT_RUNNING,
            'lease_kept': f'CASE WHEN excluded.status IN {_NOT_RUNNING} THEN NULL ELSE stored.lease END',
            'own_changes': (
                f'{", ".join(own)}, '
                f'lease = CASE WHEN :status IN {_NOT_RUNNING} AND NOT :is_telling THEN NULL ELSE lease END'
            ),
        }
        self._claim = text(_CLAIM, parts)
        self._store_own = text(_STORE_OWN, parts)
        self._store = {
            True: text(_STORE, {**parts, 'kept': _ENDED}),
            # Somebody else than the task itself may correct a failure, as with Celery.
            False: text(_STORE, {**parts, 'kept': "('SUCCESS')"}),
        }
        self._tell = text(_TELL, parts)
        self._explain = text(_EXPLAIN, parts)
        ids: sa.BindParameter[Any] = sa.bindparam('task_ids', expanding=True)
        self._renew = text(_RENEW, parts).bindparams(ids)
        self._cancelled = text(_CANCELLED, parts).bindparams(ids)
        self._release = text(_RELEASE, parts)
        self._disown = text(_DISOWN, parts)
        self._probe = text(_PROBE, {**parts, 'columns': ', '.join(COLUMNS)})

    def probe(self, connection: Connection) -> None:
        """Fail where a column is missing."""
        connection.execute(self._probe)

    def claim(
        self, connection: Connection, row: Mapping[str, Any], worker: str | None, attempt: tuple[int, int], seconds: int
    ) -> int | None:
        """Store that a run has started, if it may start.

        :param row: the values of Celery's columns.
        :param worker: the name of the worker.
        :param attempt: which try of the task it is: how often it replaced itself, and its retries.
        :param seconds: the length of the lease.
        :returns: the number of the run; `None` where it may not start.
        """
        replaced, retries = attempt
        values = {**row, 'worker': worker, 'replaced': replaced, 'retries': retries, 'seconds': seconds}
        return connection.execute(self._claim, values).scalar()

    def store_own(self, connection: Connection, row: Mapping[str, Any], worker: str | None, claim: Claim) -> bool:
        """Store a state of a run, if it still has its claim."""
        values = {**row, 'worker': worker, 'runs': claim.runs, 'is_telling': isinstance(claim, Telling)}
        return connection.execute(self._store_own, values).first() is not None

    def store(
        self,
        connection: Connection,
        row: Mapping[str, Any],
        worker: str | None,
        is_own_task: bool,
        runs: int | None = None,
    ) -> bool:
        """Store a state of a task that this process has not started, unless it ended or another worker runs it.

        :param is_own_task: whether it is the task's message that is judged, and not someone's word about another task.
        :param runs: how often the task has been started, where the table does not know it; `None` for unknown.
        """
        values = {**row, 'worker': worker, 'runs': runs}
        return connection.execute(self._store[is_own_task], values).first() is not None

    def tell(self, connection: Connection, task_id: str, worker: str | None, seconds: int) -> int | None:
        """Take over a task that failed, to tell those who depend on it.

        :returns: the number of the run that failed; `None` where its worker does so, or has done so.
        """
        return connection.execute(self._tell, {'task_id': task_id, 'worker': worker, 'seconds': seconds}).scalar()

    def explain(self, connection: Connection, task_id: str, seconds: int) -> Holder | None:
        """Tell what the row of a task says; `None` where there is none."""
        row = connection.execute(self._explain, {'task_id': task_id, 'seconds': seconds}).first()
        if row is None:
            return None
        state, worker, runs, replaced, retries, remaining, role, is_writable = row
        left = None if remaining is None else float(remaining)
        return Holder(state, worker, runs, (replaced, retries), left, role, bool(is_writable))

    def release(self, connection: Connection, task_id: str, worker: str | None, claim: Claim) -> None:
        """Let whoever gets the next message of a task run it at once."""
        connection.execute(self._release, {'task_id': task_id, 'worker': worker, 'runs': claim.runs})

    def disown(self, connection: Connection, task_id: str, worker: str | None, claim: Claim) -> None:
        """Let a worker of another role claim the next try of a task."""
        connection.execute(self._disown, {'task_id': task_id, 'worker': worker, 'runs': claim.runs})

    def renew(self, connection: Connection, task_ids: Iterable[str], worker: str | None, seconds: int) -> set[str]:
        """Renew the leases of what a worker runs.

        :returns: the ids of the tasks that the worker has claimed and that have not ended.
        """
        values = {'task_ids': sorted(task_ids), 'worker': worker, 'seconds': seconds}
        return {row.task_id for row in connection.execute(self._renew, values)}

    def cancelled(self, connection: Connection, task_ids: Iterable[str], worker: str | None) -> set[str]:
        """Tell which tasks of a worker were cancelled.

        :returns: their ids.
        """
        values = {'task_ids': sorted(task_ids), 'worker': worker}
        return {row.task_id for row in connection.execute(self._cancelled, values)}


def text(template: str, parts: Mapping[str, str]) -> sa.TextClause:
    """Make a statement of a template.

    :param template: the SQL, with names in braces.
    :param parts: what the names stand for.
    """
    # Colons in the format of a time are none of a parameter.
    return sa.text(template.format(**parts).replace('%H:%M:%f', '%H\\:%M\\:%f'))
