"""Let one run of ``celery toolbox tables`` at a time change a database.

A run locks a table that has no other use. No program has a right on it, so none can hold a run up: anybody who may
connect could take an advisory lock.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from .faults import sqlstate
from .quoting import literal

logger = logging.getLogger(__name__)

#: The table.
NAME = 'celery_toolbox'
_LOCK = f'LOCK TABLE {NAME} IN SHARE UPDATE EXCLUSIVE MODE'
#: These make the table, and lock it until the transaction ends.
STATEMENTS = (f'CREATE TABLE IF NOT EXISTS {NAME} ()', _LOCK)

_IS_MISSING = f"SELECT to_regclass('{NAME}') IS NULL"
_HOLDER = f"""
SELECT pid FROM pg_locks
WHERE relation = to_regclass('{NAME}') AND granted AND mode = 'ShareUpdateExclusiveLock'"""
# The session that has the lock is idle while an index is built.
_STAY = """
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"""
# Another run has the lock, or has just made the table.
_LOCK_NOT_AVAILABLE = '55P03'
_ALREADY_THERE = ('23505', '42710', '42P07')
_PAUSE = 0.2


@contextmanager
def turn(database: sa.Engine) -> Iterator[None]:
    """Wait until no other run changes the database, and keep others from it.

    A run that waits is within no statement: it would be in the way of the index that the other run builds.

    :param database: the engine of the database, with a role that may create tables.
    """
    # At a stricter level, the session would go on looking at what the tables were before. No index could be completed.
    with database.connect().execution_options(isolation_level='READ COMMITTED') as connection:
        if not _is_locked(connection):
            logger.warning(
                'Waiting for another run of `celery toolbox tables`, in the session with the pid %s',
                connection.scalar(literal(_HOLDER)),
            )
            connection.rollback()
            while not _is_locked(connection):
                time.sleep(_PAUSE)
        yield


def _is_locked(connection: sa.Connection) -> bool:
    try:
        if connection.scalar(sa.text(_IS_MISSING)):
            connection.execute(sa.text(STATEMENTS[0]))
        # Another run that makes the table at the same time waits for this within a statement.
        connection.commit()
        connection.execute(sa.text(_STAY))
        connection.execute(sa.text(f'{_LOCK} NOWAIT'))
    except DBAPIError as error:
        if sqlstate(error.orig) not in (_LOCK_NOT_AVAILABLE, *_ALREADY_THERE):
            raise
        connection.rollback()
        return False
    return True
