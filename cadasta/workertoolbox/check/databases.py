"""Check that the databases of results and tasks answer, have their tables, and give the app the rights it needs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from celery import Celery
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from ..database import roles
from ..database.columns import missing_columns
from ..database.connection import engine
from ..database.faults import refusing
from ..database.steps import NO_PICKLE
from ..database.tables import MONITOR_TABLES, present_columns, rejected, result_tables, sequence, task
from ..database.views import SCHEDULED_VIEW, VIEW
from ..durations import written
from ..errors import NotUsable
from ..results.claim import COLUMNS
from ..seams.sqlalchemy_quoting import QUOTE
from ..settings.credentials import masked
from ..settings.urls import is_database
from ..settings.variables import VARIABLES
from .finding import Finding, Outcome, Problem, in_order
from .rights import Right, Rights, needed
from .settings import look_at_settings
from .trials import trials

#: The check waits this long for an answer of a database, in seconds.
TIMEOUT = 3

# A check counts no further.
_MANY = 1_000
_CREATE = 'Create it, with a role that may: celery -A PROJECT toolbox tables'
_ADD = 'Add them, with a role that may: celery -A PROJECT toolbox tables. Then restart the workers.'
_ADD_COLUMNS = 'Add them, with a role that may: celery -A PROJECT toolbox tables'
_MAY = (
    'Give the role its rights: celery -A PROJECT toolbox tables --reader-role NAME, or --monitor-role, --janitor-role'
)
_MISSING = 'it is not there, or the role cannot see it'
_SHARED_ROLE = (
    'All services that do not set RESULT_DB_USER share this role, so each may change the results of all others. Give '
    'each a role: celery -A PROJECT toolbox tables --worker-role NAME'
)
_NARROW_NUMBERS = (
    'It may use up the numbers of {table}, which have 32 bits, and nobody could store results then. Make them 64 bits '
    'wide, while few tasks end: ALTER TABLE {table} ALTER COLUMN id TYPE bigint'
)
_NO_TABLE = Outcome(skipped='there is no table')
_NO_ROLES = Outcome(skipped='SQLite has no roles')
_NO_SETTINGS = Outcome(skipped='SQLite has no such settings')
_CHANGE = 'Mend what the error names: start the database, or look at {}. The check waits {} for an answer.'


def check_results(app: Celery, is_worker: bool, any_role: bool) -> Iterator[Finding]:
    """Check the result database, its tables, and the rights of the app's role.

    :param app: the app.
    :param is_worker: whether workers are started from its codebase. The check judges the role of workers only.
    :param any_role: whether their role may have more rights than a worker needs.
    :returns: the findings.
    """
    url = app.conf.result_backend
    with ExitStack() as stack:
        results = _Results(app, is_worker, any_role, stack)
        steps = {
            'the database can be reached': lambda: results.reach(url),
            'its settings suit': results.look_at_settings,
            'its tables are there': results.look_at_tables,
            'its table has the columns for claims': results.look_for_claims,
            'its table refuses pickles': results.look_for_pickles,
            'the role may store results': results.look_for_missing_rights,
            'the role may do nothing else': results.look_for_excess_rights,
        }
        if not is_database(url):
            for check in steps:
                yield Finding('results', check, Outcome(skipped='the results of this app do not go to a database'))
            return
        change = _CHANGE.format('result_backend, and RESULT_DB_HOST and so on', written(timedelta(seconds=TIMEOUT)))
        yield from in_order('results', steps, str(masked(url)), change)


def check_tasks(app: Celery, url: str | None) -> Iterator[Finding]:
    """Check the database that the monitor writes.

    :param app: the app.
    :param url: the URL of the database.
    :returns: the findings.
    """
    with ExitStack() as stack:
        tasks = _Tasks(app, stack)
        steps = {
            'the Task table is written': lambda: tasks.find_newest(url or ''),
            'its settings suit': tasks.look_at_settings,
            'its tables and views have all columns': tasks.look_for_columns,
            'the role may store, read or delete tasks': tasks.look_at_rights,
        }
        if url is None:
            for check in steps:
                yield Finding('tasks', check, Outcome(skipped='give --database to know'))
            return
        change = _CHANGE.format('--database', written(timedelta(seconds=TIMEOUT)))
        yield from in_order('tasks', steps, str(masked(url)), change)


class _Tasks:
    def __init__(self, app: Celery, stack: ExitStack) -> None:
        self._naming = _naming(app)
        self._stack = stack

    def find_newest(self, url: str) -> Outcome:
        self._connection = _connect(url, self._stack)
        return _newest_task(self._connection)

    def look_at_settings(self) -> Outcome:
        return look_at_settings(self._connection, writes=False) if _is_postgresql(self._connection) else _NO_SETTINGS

    def look_for_columns(self) -> Outcome:
        inspector = sa.inspect(self._connection)
        tables = [table.name for table in MONITOR_TABLES if inspector.has_table(table.name)]
        return Outcome(tuple(_lacking(self._connection, [*tables, SCHEDULED_VIEW, VIEW])))

    def look_at_rights(self) -> Outcome:
        if not _is_postgresql(self._connection):
            return _NO_ROLES
        kinds = {
            kind: needed(self._connection, needs(*self._naming))
            for kind, needs in (('store', roles.monitor), ('read', roles.reader), ('delete', roles.janitor))
        }
        if not all(kinds.values()):
            return _NO_TABLE
        rights = Rights(self._connection)
        may = [kind for kind, needs in kinds.items() if not any(rights.missing(needs))]
        if may:
            return Outcome(note=f'{rights.role} may {", ".join(may)}')
        return Outcome((Problem(f'role {rights.role}', 'it may neither store nor read nor delete tasks', _MAY),))


class _Results:
    def __init__(self, app: Celery, is_worker: bool, any_role: bool, stack: ExitStack) -> None:
        self._naming = _naming(app)
        self._tables = result_tables(*self._naming)
        self._claims = bool(app.conf.get('RUN_ONCE'))
        self._is_worker = is_worker
        self._any_role = any_role
        self._stack = stack

    def reach(self, url: str) -> Outcome:
        self._url = url
        self._connection = _connect(url, self._stack)
        return Outcome(note=str(masked(url)))

    def look_at_settings(self) -> Outcome:
        return look_at_settings(self._connection, writes=self._is_worker) if self._is_postgresql else _NO_SETTINGS

    def look_at_tables(self) -> Outcome:
        inspector = sa.inspect(self._connection)
        missing = [QUOTE.format_table(table) for table in self._tables if not self._has_table(table)]
        if self._is_postgresql:
            missing += [
                QUOTE.format_sequence(sequence(table))
                for table in self._tables
                if not inspector.has_sequence(sequence(table).name, schema=table.schema)
            ]
        return Outcome(
            tuple(Problem(name, _MISSING, _CREATE) for name in missing),
            note=', '.join(QUOTE.format_table(table) for table in self._tables),
        )

    def look_for_claims(self) -> Outcome:
        if not self._claims:
            return Outcome(skipped='RUN_ONCE is off')
        table = self._tables[0]
        if not self._has_table(table):
            return _NO_TABLE
        present = present_columns(self._connection, table)
        missing = ', '.join(column for column in COLUMNS if column not in present)
        if missing:
            seen = f'it has no columns {missing}, so tasks may run twice'
            return Outcome((Problem(QUOTE.format_table(table), seen, _ADD),))
        return Outcome()

    def look_for_pickles(self) -> Outcome:
        if not self._is_postgresql:
            # A user who may store a result in a file may do anything with it.
            return _NO_ROLES
        table = self._tables[0]
        if not self._has_table(table):
            return _NO_TABLE
        constraints = sa.inspect(self._connection).get_check_constraints(table.name, schema=table.schema)
        if any(constraint['name'] == NO_PICKLE for constraint in constraints):
            return Outcome()
        return Outcome(
            note=f'{QUOTE.format_table(table)} accepts pickles: a program with plain Celery that reads one runs the '
            'code in it. Once no worker with Celery 4 is left, refuse them: celery -A PROJECT toolbox tables',
            is_noteworthy=True,
        )

    def look_for_missing_rights(self) -> Outcome:
        return self._judge(lambda rights, needed: rights.missing(needed))

    def look_for_excess_rights(self) -> Outcome:
        if self._any_role:
            return Outcome(skipped='--any-role')
        outcome = self._judge(lambda rights, needed: rights.excess(needed))
        if outcome.problems or outcome.skipped:
            return outcome
        table = self._tables[0]
        if not self._has_table(table):
            return _NO_TABLE
        writing = _connect(self._url, self._stack, is_read_only=False)
        problems = tuple(trials(writing, table, outcome.note))
        notes = [_SHARED_ROLE] if outcome.note == VARIABLES['RESULT_DB_USER'].default else []
        if self._has_narrow_numbers(table):
            notes.append(_NARROW_NUMBERS.format(table=QUOTE.format_table(table)))
        return Outcome(problems, note='. '.join([outcome.note, *notes]), is_noteworthy=bool(notes))

    def _has_narrow_numbers(self, table: sa.Table) -> bool:
        columns = sa.inspect(self._connection).get_columns(table.name, schema=table.schema)
        return any(column['name'] == 'id' and not isinstance(column['type'], sa.BigInteger) for column in columns)

    def _judge(self, find: Callable[[Rights, dict[Right, str]], Iterator[Problem]]) -> Outcome:
        if not self._is_worker:
            return Outcome(skipped='the app only sends tasks')
        if not self._is_postgresql:
            return _NO_ROLES
        rights = Rights(self._connection)
        return Outcome(tuple(find(rights, self._needed())), note=rights.role)

    def _needed(self) -> dict[Right, str]:
        return needed(self._connection, roles.worker(*self._naming))

    def _has_table(self, table: sa.Table) -> bool:
        return sa.inspect(self._connection).has_table(table.name, schema=table.schema)

    @property
    def _is_postgresql(self) -> bool:
        return _is_postgresql(self._connection)


def _is_postgresql(connection: sa.Connection) -> bool:
    return connection.dialect.name == 'postgresql'


def _naming(app: Celery) -> tuple[Mapping[str, str], Mapping[str, str]]:
    return app.conf.database_table_names or {}, app.conf.database_table_schemas or {}


def _connect(url: str, stack: ExitStack, is_read_only: bool = True) -> sa.Connection:
    database = engine(url)
    if database.dialect.name == 'postgresql':
        query = {'connect_timeout': str(TIMEOUT), **database.url.query}
        database = engine(database.url.set(query=query).render_as_string(hide_password=False))
        with refusing(' the connection'):
            connection = stack.enter_context(database.connect())
        connection = connection.execution_options(postgresql_readonly=is_read_only)
        connection.execute(sa.text(f'SET LOCAL statement_timeout = {TIMEOUT * 1000}'))
        return connection
    # SQLite would create a missing file.
    if database.url.database and not Path(database.url.database).exists():
        raise NotUsable(f'there is no file {database.url.database!r}: celery -A PROJECT toolbox tables makes it')
    return stack.enter_context(database.connect())


def _newest_task(connection: sa.Connection) -> Outcome:
    inspector = sa.inspect(connection)
    missing = [table.name for table in MONITOR_TABLES if not inspector.has_table(table.name)]
    if missing:
        return Outcome(tuple(Problem(name, _MISSING, _CREATE) for name in missing))
    # The database has an index on `first_seen`, by which it finds the newest task, and none on `last_seen`.
    seen = connection.scalar(sa.select(task.c.last_seen).order_by(task.c.first_seen.desc()).limit(1))
    if seen is None:
        return Outcome(skipped='it has no task yet')
    # SQLite returns times without a zone.
    ago = datetime.now(UTC) - (seen if seen.tzinfo else seen.replace(tzinfo=UTC))
    # The clock of the monitor may be ahead of this one, and an age must not be negative.
    newest = f'the newest task was last seen {written(max(ago, timedelta()))} ago'
    unread = _unread(connection)
    if not unread:
        return Outcome(note=newest)
    return Outcome(note=f'{newest}; {unread} not be read: celery toolbox rejected', is_noteworthy=True)


def _unread(connection: sa.Connection) -> str:
    """Say how many messages the monitor could not read; nothing where the role may not know."""
    some = sa.select(rejected.c.digest).limit(_MANY + 1).subquery()
    try:
        with connection.begin_nested():
            count = connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    except DBAPIError:
        return ''
    if count > _MANY:
        return f'more than {_MANY} messages could'
    return f'{count} message{"s" if count > 1 else ""} could' if count else ''


def _lacking(connection: sa.Connection, names: Iterable[str]) -> Iterator[Problem]:
    for name in names:
        try:
            missing = missing_columns(connection, name)
        except NoSuchTableError:
            yield Problem(name, _MISSING, _CREATE)
        else:
            if missing:
                yield Problem(name, f'it has no columns {", ".join(missing)}', _ADD_COLUMNS)
