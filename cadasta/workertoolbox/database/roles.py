"""Roles in PostgreSQL that have the rights of one kind of program, and no others."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from ..architecture import OUTBOX_COLUMNS
from ..seams.sqlalchemy_quoting import QUOTE
from .quoting import literal, oid, quoted
from .steps import Step
from .tables import MONITOR_TABLES, monitors, outbox, rejected, result_tables, sequence, task, workers
from .views import SCHEDULED_VIEW, VIEW


class Rights(NamedTuple):
    """The privileges of a role on an object of the database.

    :param kind: ``TABLE``, ``SEQUENCE`` or ``SCHEMA``. A view is a table.
    :param name: the name of the object in SQL.
    :param privileges: the privileges on it.
    :param columns: the only columns of the table to which they belong; none for the whole table.
    :param is_narrower: whether version 1.0 gave these privileges on the whole table. They are taken away from there.
    """

    kind: str
    name: str
    privileges: tuple[str, ...]
    columns: tuple[str, ...] = ()
    is_narrower: bool = False


#: Gives the rights of a role, for the app's ``database_table_names`` and ``database_table_schemas``.
Needs = Callable[[Mapping[str, str], Mapping[str, str]], Iterator[Rights]]


def worker(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of a worker, which stores results.

    Whoever may change the whole table may lock it, too. The policies of the table say which rows a worker may change.

    >>> [rights.name for rights in worker({}, {})]
    ['celery_taskmeta', 'celery_taskmeta', 'task_id_sequence']
    """
    results, _ = result_tables(names, schemas)
    name = QUOTE.format_table(results)
    yield from _schemas(results.schema)
    yield Rights('TABLE', name, ('SELECT', 'INSERT'))
    yield Rights('TABLE', name, ('UPDATE',), _without(results, 'id', 'task_id'), is_narrower=True)
    yield Rights('SEQUENCE', QUOTE.format_sequence(sequence(results)), ('USAGE',))


def monitor(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of the monitor, which stores tasks and the reports of workers.

    It changes what a later message says otherwise. As a worker, it may lock no table.
    """
    changed = {
        task: _without(task, 'task_id', 'resent'),
        rejected: ('last_seen',),
        workers: _without(workers, 'boot', 'first_seen'),
        monitors: ('last_seen', 'caught_up', 'ended'),
    }
    for table, columns in changed.items():
        yield Rights('TABLE', table.name, ('SELECT', 'INSERT'))
        yield Rights('TABLE', table.name, ('UPDATE',), columns, is_narrower=True)


def reader(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of whoever looks at tasks: on a terminal, on the page, or in a dashboard."""
    for name in (VIEW, SCHEDULED_VIEW, *(table.name for table in MONITOR_TABLES)):
        yield Rights('TABLE', name, ('SELECT',))


def janitor(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of whoever deletes what is old."""
    results = result_tables(names, schemas)
    yield from _schemas(*(table.schema for table in results))
    for table in (task, *results, rejected, workers, monitors):
        name = QUOTE.format_table(table)
        yield Rights('TABLE', name, ('SELECT', 'DELETE'))
        # Nobody may lock a row who may not update any column of it.
        yield Rights('TABLE', name, ('UPDATE',), ('date_done' if 'date_done' in table.c else 'last_seen',))
    for name in (VIEW, SCHEDULED_VIEW):
        yield Rights('TABLE', name, ('SELECT',))


def producer(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of an application that writes tasks into the outbox. It can neither read nor change one.

    >>> [rights.privileges for rights in producer({}, {})]
    [('INSERT',)]
    """
    yield Rights('TABLE', outbox.name, ('INSERT',), OUTBOX_COLUMNS)


def relay(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of a relay, which publishes what is in the outbox."""
    yield Rights('TABLE', outbox.name, ('SELECT', 'DELETE'))
    yield Rights('TABLE', outbox.name, ('UPDATE',), ('refused', 'reason'))


def role_steps(role: str, needs: Needs, names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Step]:
    """Give the steps that let a role do what it needs, and nothing else.

    :param role: the name of the role. It is created where there is none, without a password.
    :param needs: the kind of role: `worker`, `monitor`, `reader`, `janitor`, `producer` or `relay`.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.

    >>> for step in list(role_steps('reading', reader, {}, {}))[1:3]: print(step.statements[0])
    GRANT SELECT ON celery_task_status TO reading
    GRANT SELECT ON celery_task_scheduled TO reading
    """
    exists = f'EXISTS (SELECT FROM pg_roles WHERE rolname = {quoted(role)})'
    tag = '$create$' if '$create$' not in role else '$create_role$'
    create = f"""DO {tag} BEGIN
    IF NOT {exists} THEN
        CREATE ROLE {QUOTE.quote(role)} LOGIN;
    END IF;
END {tag}"""
    yield Step((literal(create),), exists)
    for rights in needs(names, schemas):
        what = ', '.join(rights.privileges)
        where = rights.name if rights.kind == 'TABLE' else f'{rights.kind} {rights.name}'
        grant = literal(f'GRANT {what}{_listed(rights.columns)} ON {where} TO {QUOTE.quote(role)}')
        if rights.is_narrower:
            # This takes the rights on columns away, too.
            revoke = literal(f'REVOKE {what} ON {where} FROM {QUOTE.quote(role)}')
            whole = Rights(rights.kind, rights.name, rights.privileges)
            yield Step((revoke, grant), f'{_granted(rights, role)} AND {_count(whole, role)} = 0')
        else:
            yield Step((grant,), _granted(rights, role))


def _granted(rights: Rights, role: str) -> str:
    return f'{_count(rights, role)} = {len(rights.privileges) * max(len(rights.columns), 1)}'


def _count(rights: Rights, role: str) -> str:
    # A right that the role has by way of another role may be taken from that one.
    if rights.kind == 'SCHEMA':
        acls = f'SELECT 0 AS part, nspacl AS acl FROM pg_namespace WHERE oid = to_regnamespace({quoted(rights.name)})'
    elif rights.columns:
        columns = f'attrelid = {oid(rights.name)} AND attname IN ({", ".join(map(quoted, rights.columns))})'
        acls = f'SELECT attnum AS part, attacl AS acl FROM pg_attribute WHERE {columns}'
    else:
        acls = f'SELECT 0 AS part, relacl AS acl FROM pg_class WHERE oid = {oid(rights.name)}'
    privileges = ', '.join(map(quoted, rights.privileges))
    return (
        f'(SELECT count(DISTINCT (part, privilege_type)) FROM ({acls}) acls, aclexplode(acl) '
        f'JOIN pg_roles ON pg_roles.oid = grantee '
        f'WHERE rolname = {quoted(role)} AND privilege_type IN ({privileges}))'
    )


def _listed(columns: tuple[str, ...]) -> str:
    return f' ({", ".join(columns)})' if columns else ''


def _without(table: sa.Table, *kept: str) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name not in kept)


def _schemas(*schemas: str | None) -> Iterator[Rights]:
    for schema in sorted({schema for schema in schemas if schema}):
        yield Rights('SCHEMA', QUOTE.quote(schema), ('USAGE',))
