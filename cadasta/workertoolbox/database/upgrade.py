"""Create or upgrade the tables and views, and grant roles the rights that they need."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from ..errors import NotUsable
from ..seams.sqlalchemy_quoting import POSTGRESQL, QUOTE
from . import roles
from .connection import engine
from .faults import refusing
from .in_the_way import PATIENCE, briefly, build
from .indexes import IndexStep, index_step
from .outbox import outbox_steps
from .ownership import ownership_step
from .quoting import literal
from .steps import NO_PICKLE, Step, columns_step, pickle_step, sequence_step, table_step
from .tables import MONITOR_TABLES, outbox, present_columns, result_tables, sorted_indexes
from .turns import STATEMENTS, turn
from .views import statements_for_sqlite, view_steps


class _HasPart(Protocol):
    @property
    def is_there(self) -> str: ...


class _Schema(Protocol):
    """The tables, views, indexes and rights that a database must have."""

    @property
    def tables(self) -> tuple[sa.Table, ...]: ...

    def steps(self, with_indexes: bool) -> Iterator[Step]:
        """Give the parts in PostgreSQL, in the order in which they can be made, in one transaction."""

    def indexes(self) -> Iterator[IndexStep]:
        """Give the indexes in PostgreSQL, which are built after that."""

    def for_sqlite(self) -> Iterator[Any]:
        """Give the statements that create what SQLite lacks, except for columns."""


_Part = TypeVar('_Part', bound=_HasPart)


def upgrade(
    url: str,
    names: Mapping[str, str] | None = None,
    schemas: Mapping[str, str] | None = None,
    worker_role: str | None = None,
    monitor_role: str | None = None,
    allow_pickle: bool = False,
    janitor_role: str | None = None,
    reader_role: str | None = None,
) -> None:
    """Create or upgrade all tables and views. Rerunning it changes nothing, and two runs at a time wait for each other.

    It asks PostgreSQL what is missing, and takes no lock if nothing is. Workers, monitors and readers may go on
    meanwhile: it adds columns in an instant, and builds indexes beside those who write.

    :param url: the database's URL, as SQLAlchemy spells it, with a role that may create tables.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :param worker_role: a role that gets what a worker needs; PostgreSQL only.
    :param monitor_role: a role that gets what the monitor needs; PostgreSQL only.
    :param allow_pickle: let the table of results hold pickles, as workers with Celery 4 write them.
    :param janitor_role: a role that gets what it needs to delete what is old; PostgreSQL only.
    :param reader_role: a role that gets what it needs to look at tasks; PostgreSQL only.
    :raises NotUsable: where the database is neither PostgreSQL nor SQLite, or refuses a statement, or if somebody is in
        the way for three seconds. The text names these sessions.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.

    >>> upgrade('sqlite:///tasks.db')
    """
    _upgrade(
        url, _Platform(names or {}, schemas or {}, worker_role, monitor_role, allow_pickle, janitor_role, reader_role)
    )


def upgrade_outbox(url: str, producer_role: str | None = None, relay_role: str | None = None) -> None:
    """Create or upgrade the table of `outbox`, in the database that an application writes. It makes no other table.

    Rerunning it changes nothing, and two runs at a time wait for each other.

    :param url: the database's URL, as SQLAlchemy spells it, with a role that may create tables.
    :param producer_role: a role that gets what an application needs to write tasks; PostgreSQL only.
    :param relay_role: a role that gets what ``toolbox relay`` needs to publish them; PostgreSQL only.
    :raises NotUsable: see `upgrade`.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.

    >>> upgrade_outbox('sqlite:///shop.db')
    """
    _upgrade(url, _Outbox(producer_role, relay_role))


def _upgrade(url: str, schema: _Schema) -> None:
    database = engine(url)
    try:
        with refusing():
            if database.dialect.name == 'postgresql':
                _upgrade_postgresql(database, schema)
                return
            with database.begin() as connection:
                for statement in schema.for_sqlite():
                    connection.execute(statement)
                for statement in _columns_missing_in_sqlite(connection, schema.tables):
                    connection.execute(statement)
    finally:
        database.dispose()


def script(
    url: str,
    names: Mapping[str, str] | None = None,
    schemas: Mapping[str, str] | None = None,
    worker_role: str | None = None,
    monitor_role: str | None = None,
    allow_pickle: bool = False,
    janitor_role: str | None = None,
    reader_role: str | None = None,
) -> str:
    """Write the SQL that `upgrade` would run with the same arguments on an empty database. It opens no connection.

    :returns: a script for the database's own command line. Running it again changes nothing. In PostgreSQL, the
        statements after ``COMMIT`` build indexes beside those who write, and cannot be part of a transaction.
    :raises NotUsable: where the database is neither PostgreSQL nor SQLite.

    >>> print(script('sqlite://')[:6])
    BEGIN;
    """
    return _script(
        url, _Platform(names or {}, schemas or {}, worker_role, monitor_role, allow_pickle, janitor_role, reader_role)
    )


def outbox_script(url: str, producer_role: str | None = None, relay_role: str | None = None) -> str:
    """Write the SQL that `upgrade_outbox` would run with the same arguments: see `script`.

    >>> print(outbox_script('sqlite://')[:6])
    BEGIN;
    """
    return _script(url, _Outbox(producer_role, relay_role))


def _script(url: str, schema: _Schema) -> str:
    dialect = engine(url).dialect
    if dialect.name != 'postgresql':
        return _written(dialect, [sa.text('BEGIN'), *schema.for_sqlite(), sa.text('COMMIT')])
    # Without the lock, two scripts at once would find the same things missing, and one of them would fail.
    begin = ('BEGIN', f"SET LOCAL lock_timeout = '{PATIENCE}s'", *STATEMENTS)
    changes = (statement for step in schema.steps(with_indexes=False) for statement in step.statements)
    indexes = (index.concurrently for index in schema.indexes())
    return _written(POSTGRESQL, [*map(sa.text, begin), *changes, sa.text('COMMIT'), *indexes])


class _Platform(NamedTuple):
    """The tables, views, indexes and rights of the database of the platform."""

    names: Mapping[str, str]
    schemas: Mapping[str, str]
    worker_role: str | None
    monitor_role: str | None
    allow_pickle: bool
    janitor_role: str | None
    reader_role: str | None

    @property
    def tables(self) -> tuple[sa.Table, ...]:
        return (*result_tables(self.names, self.schemas), *MONITOR_TABLES)

    def steps(self, with_indexes: bool) -> Iterator[Step]:
        results, groups, *others = self.tables
        yield from map(sequence_step, (results, groups))
        for table in (results, groups, *others):
            yield table_step(table, with_indexes)
            yield columns_step(table)
        yield pickle_step(results, self.allow_pickle)
        yield ownership_step(results)
        yield from view_steps(results)
        for role, needs in self._roles():
            yield from roles.role_steps(role, needs, self.names, self.schemas)

    def indexes(self) -> Iterator[IndexStep]:
        return _index_steps(self.tables)

    def for_sqlite(self) -> Iterator[Any]:
        if any(self._roles()):
            raise NotUsable(_NO_ROLES)
        results, *others = self.tables
        if not self.allow_pickle:
            results.append_constraint(sa.CheckConstraint("hex(substr(result, 1, 1)) <> '80'", name=NO_PICKLE))
        yield from _statements_for_sqlite((results, *others))
        yield from statements_for_sqlite(results)

    def _roles(self) -> Iterator[tuple[str, roles.Needs]]:
        for role, needs in (
            (self.worker_role, roles.worker),
            (self.monitor_role, roles.monitor),
            (self.janitor_role, roles.janitor),
            (self.reader_role, roles.reader),
        ):
            if role:
                yield role, needs


class _Outbox(NamedTuple):
    """The table, index and rights of a database that has an outbox."""

    producer_role: str | None
    relay_role: str | None

    @property
    def tables(self) -> tuple[sa.Table, ...]:
        return (outbox,)

    def steps(self, with_indexes: bool) -> Iterator[Step]:
        yield from outbox_steps(with_indexes)
        for role, needs in ((self.producer_role, roles.producer), (self.relay_role, roles.relay)):
            if role:
                yield from roles.role_steps(role, needs, {}, {})

    def indexes(self) -> Iterator[IndexStep]:
        return _index_steps(self.tables)

    def for_sqlite(self) -> Iterator[Any]:
        if self.producer_role or self.relay_role:
            raise NotUsable(_NO_ROLES)
        return _statements_for_sqlite(self.tables)


_NO_ROLES = 'SQLite has no roles'


def _index_steps(tables: Iterable[sa.Table]) -> Iterator[IndexStep]:
    for table in tables:
        yield from (index_step(index, table) for index in sorted_indexes(table))


def _statements_for_sqlite(tables: Iterable[sa.Table]) -> Iterator[Any]:
    for table in tables:
        yield CreateTable(table, if_not_exists=True)
        for index in sorted_indexes(table):
            yield CreateIndex(index, if_not_exists=True)


def _upgrade_postgresql(database: sa.Engine, schema: _Schema) -> None:
    # An index can be built beside others only outside of a transaction.
    with database.connect().execution_options(isolation_level='AUTOCOMMIT') as connection:
        steps = list(schema.steps(with_indexes=True))
        indexes = list(schema.indexes())
        if not _missing(connection, steps) and not _missing(connection, indexes):
            return
        with turn(database):
            _make(database, _missing(connection, steps))
            for index in _missing(connection, indexes):
                build(connection, index)


def _make(database: sa.Engine, steps: Iterable[Step]) -> None:
    with database.connect() as connection:
        statements: list[Any] = []
        for step in steps:
            statements += step.statements
            if step.locks:
                briefly(connection, statements, step.locks)
                statements = []
        with connection.begin():
            for statement in statements:
                connection.execute(statement)


def _missing(connection: sa.Connection, parts: Sequence[_Part]) -> list[_Part]:
    are_there = connection.execute(literal(f'SELECT {", ".join(part.is_there for part in parts)}')).one()
    return [part for part, is_there in zip(parts, are_there, strict=True) if not is_there]


def _columns_missing_in_sqlite(connection: sa.Connection, tables: Iterable[sa.Table]) -> Iterator[sa.TextClause]:
    for table in tables:
        present = present_columns(connection, table)
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                yield literal(f'ALTER TABLE {QUOTE.format_table(table)} ADD COLUMN {column.name} {kind}')


def _written(dialect: Dialect, statements: Iterable[Any]) -> str:
    return '\n\n'.join(str(statement.compile(dialect=dialect)).strip() + ';' for statement in statements) + '\n'
