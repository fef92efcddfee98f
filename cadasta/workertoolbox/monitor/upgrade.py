"""Create or upgrade the tables and the view, and give roles the least that they need."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.exc import ProgrammingError

from . import roles
from .database import NotUsable, engine
from .tables import POSTGRESQL, statements


def upgrade(
    url: str,
    names: Mapping[str, str] | None = None,
    schemas: Mapping[str, str] | None = None,
    worker_role: str | None = None,
    monitor_role: str | None = None,
) -> None:
    """Create or upgrade all tables and the view. Again, or twice at a time, does no harm.

    :param url: the database's URL, as SQLAlchemy spells it, with a role that may create tables.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :param worker_role: a role that gets what a worker needs; PostgreSQL only.
    :param monitor_role: a role that gets what the monitor needs; PostgreSQL only.
    :raises NotUsable: where the database is another than PostgreSQL or SQLite, or refuses.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be reached.

    >>> upgrade('sqlite:///tasks.db')
    """
    database = engine(url)
    try:
        with database.begin() as connection:
            for statement in _statements(database.dialect, names, schemas, worker_role, monitor_role):
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
) -> str:
    """Write down the SQL that `upgrade` would run, which has the same arguments. The database is not contacted.

    :returns: a script for the database's own command line.
    :raises NotUsable: where the database is another than PostgreSQL or SQLite.

    >>> print(script('sqlite://')[:6])
    BEGIN;
    """
    dialect = engine(url).dialect
    if dialect.name == 'postgresql':
        dialect = POSTGRESQL
    lines = (
        str(statement.compile(dialect=dialect)).strip() + ';'
        for statement in _statements(dialect, names, schemas, worker_role, monitor_role)
    )
    return '\n\n'.join(['BEGIN;', *lines, 'COMMIT;']) + '\n'


def _statements(
    dialect: Dialect,
    names: Mapping[str, str] | None,
    schemas: Mapping[str, str] | None,
    worker_role: str | None,
    monitor_role: str | None,
) -> Iterator[Any]:
    names, schemas = names or {}, schemas or {}
    if (worker_role or monitor_role) and dialect.name != 'postgresql':
        raise NotUsable('SQLite has no roles')
    yield from statements(names, schemas, dialect)
    if worker_role:
        yield from roles.worker(worker_role, names, schemas)
    if monitor_role:
        yield from roles.monitor(monitor_role)
