"""Change what others use without holding them up, and name who is in the way."""

from collections.abc import Iterable
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from ..errors import NotUsable
from .faults import sqlstate
from .indexes import IndexStep
from .quoting import literal, oid

#: A change gives up on those who are in its way after this time, in seconds.
PATIENCE = 3
_PAUSE = 0.2
_LOCK_NOT_AVAILABLE = '55P03'
_DEADLOCK = '40P01'

# While a change waits for a lock, everybody else waits behind it. So it waits briefly, and often. But PostgreSQL
# interrupts a vacuum of its own only for somebody who has waited for a second.
_BRIEFLY = """
SELECT set_config('lock_timeout', CASE WHEN EXISTS (
    SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE {here} AND usesysid IS NULL
) THEN '2s' ELSE '100ms' END, true)"""

# Sessions that came later wait for the change itself. A role that does not belong to another one, or to
# pg_read_all_stats, is not shown the state of its sessions.
_SESSIONS = """
SELECT DISTINCT concat_ws(', ', COALESCE('pid ' || pid, 'a prepared transaction'),
    CASE WHEN usesysid IS NULL AND pid IS NOT NULL THEN 'autovacuum' ELSE 'user ' || usename END,
    'application ' || NULLIF(application_name, ''),
    state, 'since ' || to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
WHERE granted AND pid IS DISTINCT FROM pg_backend_pid() AND (xact_start < now() - interval '{age}') IS NOT FALSE
    AND ({condition})
ORDER BY 1"""
_HERE = 'database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND relation = {relation}'
# The build of an index does not wait for those who read the table, unless they go on reading what it was before.
_WRITE_OR_LOOK_BACK = """
    {here} AND mode NOT IN ('AccessShareLock', 'RowShareLock')
    OR locktype = 'virtualxid' AND datname = current_database() AND backend_xmin IS NOT NULL"""


def briefly(connection: sa.Connection, statements: Iterable[Any], relation: str) -> None:
    """Change a table or view in a transaction for which nobody has to wait for long.

    :param connection: a connection that is in no transaction.
    :param statements: the statements.
    :param relation: the name in SQL of the table or view. Others cannot come to an end if they use what this
        transaction has locked already, and it waits for what they use. So it locks no other one.
    :raises NotUsable: where others use it all the time. The text names these, and nothing is changed.
    """
    here = _here(relation)
    deadline = monotonic() + PATIENCE
    while True:
        try:
            with connection.begin():
                connection.execute(literal(_BRIEFLY.format(here=here)))
                for statement in statements:
                    connection.execute(statement)
                return
        except OperationalError as error:
            _require_waiting(error)
            if monotonic() > deadline:
                raise NotUsable(
                    f'{relation} is not upgraded: for {PATIENCE} s, others have used it. '
                    f'{_sessions(connection, here, "100 milliseconds")}'
                ) from error
        sleep(_PAUSE)


def build(connection: sa.Connection, index: IndexStep) -> None:
    """Build an index, and give up where somebody else keeps it from being completed.

    :param connection: a connection on which each statement is a transaction of its own.
    :param index: the index.
    :raises NotUsable: where it gives up. The text names those who are in the way.
    """
    connection.execute(literal(f"SET lock_timeout = '{PATIENCE}s'"))
    try:
        index.build(connection)
    except OperationalError as error:
        _require_waiting(error)
        condition = _WRITE_OR_LOOK_BACK.format(here=_here(index.table))
        raise NotUsable(
            f'The index {index.name} of {index.table} is not complete: for {PATIENCE} s, others have been at work. '
            f'{_sessions(connection, condition, f"{PATIENCE} seconds")}'
        ) from error


def _here(relation: str) -> str:
    return _HERE.format(relation=oid(relation))


def _require_waiting(error: OperationalError) -> None:
    if sqlstate(error.orig) not in (_LOCK_NOT_AVAILABLE, _DEADLOCK):
        raise error


def _sessions(connection: sa.Connection, condition: str, age: str) -> str:
    found = connection.scalars(literal(_SESSIONS.format(condition=condition, age=age))).all()
    return (
        f'In the way: {"; ".join(found) or "many, each for a moment"}. Run the command again when they have ended, or '
        'end them, by: SELECT pg_terminate_backend(PID). What it has done until now does no harm.'
    )
