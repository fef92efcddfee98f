"""Create or upgrade the tables and views, and grant roles the rights that they need."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

from ..errors import NotUsable
from ..seams.sqlalchemy_quoting import POSTGRESQL, QUOTE
from . import roles
from .connection import engine
from .quoting import literal
from .tables import present_columns, rejected, result_tables, sequence, task
from .views import view_statements

# This may be any number that no other program uses for its own locks in this database.
_LOCK = 6_027_911_034
#: By this constraint, the database refuses results that are pickles: reading one runs the code in it.
NO_PICKLE = 'no_pickle'


def upgrade(
    url: str,
    names: Mapping[str, str] | None = None,
    schemas: Mapping[str, str] | None = None,
    worker_role: str | None = None,
    monitor_role: str | None = None,
    allow_pickle: bool = False,
) -> None:
    """Create or upgrade all tables and views. Rerunning it changes nothing, and two runs at a time wait for each other.

    :param url: the database's URL, as SQLAlchemy spells it, with a role that may create tables.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :param worker_role: a role that gets what a worker needs; PostgreSQL only.
    :param monitor_role: a role that gets what the monitor needs; PostgreSQL only.
    :param allow_pickle: let the table of results hold pickles, as workers with Celery 4 write them.
    :raises NotUsable: where the database is neither PostgreSQL nor SQLite, or refuses a statement.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.

    >>> upgrade('sqlite:///tasks.db')
    """
    database = engine(url)
    try:
        with database.begin() as connection:
            for statement in _statements(database.dialect, names, schemas, worker_role, monitor_role, allow_pickle):
                connection.execute(statement)
            if database.dialect.name != 'postgresql':
                for statement in _columns_missing_in_sqlite(connection, result_tables(names or {}, schemas or {})[0]):
                    connection.execute(statement)
    except ProgrammingError as error:
        raise NotUsable(f'The database refuses: {error.orig}') from error
    finally:
        database.dispose()


def script(
    url: str,
    names: Mapping[str, str] | None = None,
    schemas: Mapping[str, str] | None = None,
    worker_role: str | None = None,
    monitor_role: str | None = None,
    allow_pickle: bool = False,
) -> str:
    """Write the SQL that `upgrade` would run with the same arguments. It opens no connection.

    :returns: a script for the database's own command line.
    :raises NotUsable: where the database is neither PostgreSQL nor SQLite.

    >>> print(script('sqlite://')[:6])
    BEGIN;
    """
    dialect = engine(url).dialect
    if dialect.name == 'postgresql':
        dialect = POSTGRESQL
    lines = (
        str(statement.compile(dialect=dialect)).strip() + ';'
        for statement in _statements(dialect, names, schemas, worker_role, monitor_role, allow_pickle)
    )
    return '\n\n'.join(['BEGIN;', *lines, 'COMMIT;']) + '\n'


def _statements(
    dialect: Dialect,
    names: Mapping[str, str] | None,
    schemas: Mapping[str, str] | None,
    worker_role: str | None,
    monitor_role: str | None,
    allow_pickle: bool,
) -> Iterator[Any]:
    names, schemas = names or {}, schemas or {}
    if (worker_role or monitor_role) and dialect.name != 'postgresql':
        raise NotUsable('SQLite has no roles')
    yield from _table_statements(names, schemas, dialect, allow_pickle)
    if worker_role:
        yield from roles.worker(worker_role, names, schemas)
    if monitor_role:
        yield from roles.monitor(monitor_role)


def _table_statements(
    names: Mapping[str, str], schemas: Mapping[str, str], dialect: Dialect, allow_pickle: bool
) -> Iterator[Any]:
    """Give the statements that create or upgrade all tables and views. Rerunning them changes nothing.

    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :param dialect: the dialect of the database.
    :param allow_pickle: let the table of results hold pickles.
    :returns: statements, to be run in order, in one transaction.
    """
    on_postgresql = dialect.name == 'postgresql'
    results = result_tables(names, schemas)
    if on_postgresql:
        # Without the lock, two upgrades at once would find the same things missing, and one of them would fail.
        yield sa.text(f'SELECT pg_advisory_xact_lock({_LOCK})')
        for table in results:
            yield CreateSequence(sequence(table), if_not_exists=True)
    elif not allow_pickle:
        results[0].append_constraint(sa.CheckConstraint("hex(substr(result, 1, 1)) <> '80'", name=NO_PICKLE))
    for table in (*results, task, rejected):
        yield CreateTable(table, if_not_exists=True)
        if on_postgresql:
            yield from _missing_columns(table, dialect)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield CreateIndex(index, if_not_exists=True)
    if on_postgresql:
        yield _drop_no_pickle(results[0]) if allow_pickle else _add_no_pickle(results[0])
    yield from view_statements(results[0], on_postgresql)


def _missing_columns(table: sa.Table, dialect: Dialect) -> Iterator[sa.TextClause]:
    columns = [
        f'ADD COLUMN IF NOT EXISTS {column.name} {column.type.compile(dialect)}'
        for column in table.columns
        if column.nullable
    ]
    yield sa.text(f'ALTER TABLE {QUOTE.format_table(table)} {", ".join(columns)}')


def _columns_missing_in_sqlite(connection: sa.Connection, table: sa.Table) -> Iterator[sa.TextClause]:
    present = present_columns(connection, table)
    for column in table.columns:
        if column.name not in present:
            kind = column.type.compile(connection.dialect)
            yield literal(f'ALTER TABLE {QUOTE.format_table(table)} ADD COLUMN {column.name} {kind}')


def _add_no_pickle(table: sa.Table) -> sa.TextClause:
    name = QUOTE.format_table(table)
    regclass = name.replace("'", "''")
    # NOT VALID leaves the rows alone that are there already.
    return literal(f"""DO $$ BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint WHERE conname = '{NO_PICKLE}' AND conrelid = '{regclass}'::regclass
    ) THEN
        ALTER TABLE {name} ADD CONSTRAINT {NO_PICKLE}
            CHECK (substring(result FROM 1 FOR 1) <> '\\x80'::bytea) NOT VALID;
    END IF;
END $$""")  # noqa: S608  # the names are quoted


def _drop_no_pickle(table: sa.Table) -> sa.TextClause:
    return literal(f'ALTER TABLE {QUOTE.format_table(table)} DROP CONSTRAINT IF EXISTS {NO_PICKLE}')
