"""Write rows of the outbox by what an application writes its own rows with: SQLAlchemy or Django."""

from collections.abc import Callable, Mapping
from typing import Any

from ..architecture import OUTBOX, OUTBOX_COLUMNS
from ..errors import BadOutbox

#: Writes a row, given its values by the names of their columns.
Write = Callable[[Mapping[str, Any]], None]

_DATABASES = ('postgresql', 'sqlite')
_COLUMNS = ', '.join(OUTBOX_COLUMNS)
_WHAT = 'a Session or a Connection of SQLAlchemy, or a connection of Django, such as django.db.connection'
_UNDEFINED_TABLE = '42P01'


def writer_of(session: Any) -> Write:
    """Make the function that writes a row by a session.

    :param session: the session: see `cadasta.workertoolbox.outbox`.
    :returns: the function. It raises `BadOutbox` where the session is in no transaction, or its database has no table
        of the outbox.
    :raises BadOutbox: where it is something else.
    """
    # A connection of Django says so. Whoever has no SQLAlchemy session need not import SQLAlchemy.
    write = _by_django(session) if hasattr(session, 'in_atomic_block') else _by_sqlalchemy(session)

    def write_or_explain(row: Mapping[str, Any]) -> None:
        try:
            write(row)
        except Exception as error:
            if _is_without_table(error):
                raise BadOutbox(
                    f'The database of this session has no table {OUTBOX}. Make it there by `celery -A PROJECT toolbox '
                    'tables --outbox --database URL`, or give the outbox a session of the database that has it.'
                ) from error
            raise

    return write_or_explain


def _by_django(connection: Any) -> Write:
    statement = f'INSERT INTO {OUTBOX} ({_COLUMNS}) VALUES ({", ".join(["%s"] * len(OUTBOX_COLUMNS))})'  # noqa: S608  # constants

    def write(row: Mapping[str, Any]) -> None:
        _require_database(connection.vendor)
        if connection.get_autocommit() and not connection.in_atomic_block:
            raise BadOutbox(
                f'The connection {connection.alias!r} is in no transaction, so nothing ties the task to one. Publish '
                f'it within transaction.atomic(using={connection.alias!r}).'
            )
        with connection.cursor() as cursor:
            cursor.execute(statement, [row[name] for name in OUTBOX_COLUMNS])

    return write


def _by_sqlalchemy(session: Any) -> Write:
    from sqlalchemy import Connection, text
    from sqlalchemy.orm import Session, scoped_session

    # Those of asyncio have this method. Their module needs greenlet, which not everybody has.
    if hasattr(session, 'run_sync'):
        raise BadOutbox(
            f'An outbox was given an {type(session).__name__}, and delay() cannot await it. Publish the tasks in a '
            'function that gets the Session or Connection behind it: await session.run_sync(function).'
        )
    if not isinstance(session, Connection | Session | scoped_session):
        raise BadOutbox(f'An outbox was given a {type(session).__name__}: give it {_WHAT}')
    values = ', '.join(f':{name}' for name in OUTBOX_COLUMNS)
    statement = text(f'INSERT INTO {OUTBOX} ({_COLUMNS}) VALUES ({values})')  # noqa: S608  # constants

    def write(row: Mapping[str, Any]) -> None:
        connection = session if isinstance(session, Connection) else session.connection()
        _require_database(connection.dialect.name)
        if _commits_each_statement(connection.connection.dbapi_connection):
            raise BadOutbox(
                'The connection of this outbox is in AUTOCOMMIT mode, so nothing ties the task to a transaction. Give '
                'the outbox a session of an engine without isolation_level="AUTOCOMMIT".'
            )
        connection.execute(statement, row)

    return write


def _is_without_table(error: Exception) -> bool:
    # SQLAlchemy keeps the error of the driver as an attribute, and Django as the cause.
    own = getattr(error, 'orig', None) or error.__cause__
    codes = (getattr(own, 'pgcode', None), getattr(own, 'sqlstate', None))
    return _UNDEFINED_TABLE in codes or f'no such table: {OUTBOX}' in str(own)


def _require_database(name: str) -> None:
    if name not in _DATABASES:
        raise BadOutbox(f'The session of an outbox has a database of {name}. An outbox is in PostgreSQL or SQLite.')


def _commits_each_statement(connection: Any) -> bool:
    if getattr(connection, 'autocommit', None) is True:
        return True
    # Programs that use SQLite often begin their transactions themselves.
    return not getattr(connection, 'in_transaction', True) and connection.isolation_level is None
