"""Try what a database must refuse to the role of a worker. Each trial is undone, whatever becomes of it."""

import uuid
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ..database.faults import blames_role, sqlstate
from ..database.ownership import POLICIES
from ..database.quoting import literal, oid, quoted
from ..database.turns import NAME
from ..seams.sqlalchemy_quoting import QUOTE
from .finding import Problem
from .rights import NARROW

# A number and an id that no task has, and a role that nobody has.
_INSERT = """
INSERT INTO {table} (id, task_id, status, role) VALUES (-1, '{task_id}', 'PENDING', 'nobody: ' || current_user)"""
_UPDATE = """
INSERT INTO {table} (id, task_id, status) VALUES (-1, '{task_id}', 'PENDING');
UPDATE {table} SET role = 'nobody: ' || current_user WHERE id = -1"""
_ON_TABLES = {
    'change the ids of tasks': 'UPDATE {table} SET task_id = task_id WHERE false',
    'lock the table': 'LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT',
    f'keep `toolbox tables` from running, by a lock on {NAME}': f'LOCK TABLE {NAME} IN ACCESS SHARE MODE NOWAIT',
}
_ON_ROWS = {'store results of other roles': _INSERT, 'change results of other roles': _UPDATE}
# PostgreSQL allows what one of the policies allows.
_OTHER_POLICIES = """
SELECT quote_ident(polname) FROM pg_policy
WHERE polrelid = {oid} AND polname NOT IN ({policies}) AND polcmd IN ('a', 'w', '*') AND polpermissive
ORDER BY polname"""
_NO_TABLE = '42P01'
# The role may lock it, if somebody has not; and the rows of a table of version 1.0 belong to nobody.
_ALLOWED = ('55P03', '42703')


def trials(connection: sa.Connection, table: sa.Table, role: str) -> Iterator[Problem]:
    """Try them with the role of a connection.

    :param connection: a connection to PostgreSQL. Nobody has to wait for it: it locks nothing that others use.
    :param table: the table of results.
    :param role: the name of the role in SQL.
    :returns: a problem for each trial that succeeded.
    :raises sqlalchemy.exc.DBAPIError: where the database fails a trial for another reason than the role.
    """
    name = QUOTE.format_table(table)
    changes = {**dict.fromkeys(_ON_TABLES, ''), **dict.fromkeys(_ON_ROWS, _dropping(connection, name))}
    for what, statement in {**_ON_TABLES, **_ON_ROWS}.items():
        if _succeeds(connection, statement.format(table=name, task_id=f'toolbox check {uuid.uuid4()}')):
            yield Problem(f'role {role}', f'it may {what}', changes[what] or NARROW.format(role))


def _succeeds(connection: sa.Connection, statement: str) -> bool:
    attempt = connection.begin_nested()
    try:
        connection.execute(literal(statement))
    except DBAPIError as error:
        if blames_role(error.orig) or sqlstate(error.orig) == _NO_TABLE:
            return False
        if sqlstate(error.orig) not in _ALLOWED:
            raise
    finally:
        attempt.rollback()
    return True


def _dropping(connection: sa.Connection, name: str) -> str:
    policies = ', '.join(map(quoted, POLICIES))
    others = connection.scalars(literal(_OTHER_POLICIES.format(oid=oid(name), policies=policies)))
    return '; '.join(f'DROP POLICY {policy} ON {name}' for policy in others)
