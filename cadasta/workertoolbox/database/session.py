"""State what a session relies on, whatever settings its role, its database or its environment has."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from ..timeouts import missing_timeouts

_LIBPQ_DRIVERS = ('psycopg2', 'psycopg')

#: The settings on which the statements of this package rely. They are PostgreSQL's defaults.
SETTINGS: Mapping[str, str] = {
    # Two who write the same row at once would fail, instead of one after the other.
    'default_transaction_isolation': 'read committed',
    # SQLAlchemy would not recognise the types of columns.
    'quote_all_identifiers': 'off',
    # A policy would make statements fail, instead of choosing their rows.
    'row_security': 'on',
    'transform_null_equals': 'off',
}
_NAME = re.compile(r'"(?:[^"]|"")*"|[^,\s]+')
_CATALOG = ('pg_catalog', '"pg_catalog"')


def settle(engine: sa.Engine) -> None:
    """Let each session of an engine begin with the settings on which the statements of this package rely.

    PostgreSQL looks for functions and operators in its own catalogue first, unless a ``search_path`` names that later.
    So this takes it off the path. libpq gets the timeouts by which it notices a silent database.

    :param engine: the engine. Nothing changes where it is none of PostgreSQL.
    """
    if engine.dialect.name != 'postgresql':
        return
    sa.event.listen(engine, 'do_connect', _complete)
    sa.event.listen(engine, 'connect', _state)


def is_pooled(connection: sa.Connection) -> bool:
    """Tell whether a pooler such as PgBouncer is in between. It may use another session for each transaction.

    :param connection: a connection to PostgreSQL. Only a driver that uses libpq tells.
    """
    # A pooler gives each client a number of its own making.
    info: Any = getattr(connection.connection.driver_connection, 'info', None)
    return info is not None and bool(info.backend_pid != connection.scalar(sa.text('SELECT pg_backend_pid()')))


def _complete(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
    # A driver refuses the parameters of another driver.
    if dialect.driver in _LIBPQ_DRIVERS:
        # The encoding of a role or of PGCLIENTENCODING may have no room for what is stored.
        parameters.update({'client_encoding': 'utf8', **missing_timeouts(parameters), **parameters})


def _state(connection: Any, record: Any) -> None:
    names = ['search_path', *SETTINGS]
    cursor = connection.cursor()
    try:
        cursor.execute(f'SELECT {", ".join(map(_current, names))}')
        path, *current = cursor.fetchone()
        wanted = dict(SETTINGS)
        schemas = _NAME.findall(path)
        if any(schema in _CATALOG for schema in schemas):
            wanted['search_path'] = ', '.join(schema for schema in schemas if schema not in _CATALOG)
        is_as_wanted = dict(zip(SETTINGS, current, strict=True))
        for name, value in wanted.items():
            if is_as_wanted.get(name) != value:
                cursor.execute('SELECT pg_catalog.set_config(%s, %s, false)', (name, value))
    finally:
        cursor.close()
    connection.commit()


def _current(name: str) -> str:
    return f"pg_catalog.current_setting('{name}')"
