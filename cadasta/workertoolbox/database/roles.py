"""Roles in PostgreSQL that have the rights of one kind of program, and no others."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ..seams.sqlalchemy_quoting import QUOTE
from .quoting import literal, oid, quoted
from .steps import Step
from .tables import monitors, rejected, result_tables, sequence, task, workers
from .views import SCHEDULED_VIEW, VIEW


class Rights(NamedTuple):
    """The privileges of a role on an object of the database.

    :param kind: ``TABLE``, ``SEQUENCE`` or ``SCHEMA``. A view is a table.
    :param name: the name of the object in SQL.
    :param privileges: the privileges on it.
    :param column: the only column of the table to which they belong; `None` for the whole table.
    """

    kind: str
    name: str
    privileges: tuple[str, ...]
    column: str | None = None


#: Gives the rights of a role, for the app's ``database_table_names`` and ``database_table_schemas``.
Needs = Callable[[Mapping[str, str], Mapping[str, str]], Iterator[Rights]]


def worker(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of a worker, which stores results.

    >>> [rights.name for rights in worker({}, {})]
    ['celery_taskmeta', 'task_id_sequence']
    """
    results, _ = result_tables(names, schemas)
    yield from _schemas(results.schema)
    yield Rights('TABLE', QUOTE.format_table(results), ('SELECT', 'INSERT', 'UPDATE'))
    yield Rights('SEQUENCE', QUOTE.format_sequence(sequence(results)), ('USAGE',))


def monitor(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of the monitor, which stores tasks and the reports of workers."""
    for table in (task, rejected, workers, monitors):
        yield Rights('TABLE', table.name, ('SELECT', 'INSERT', 'UPDATE'))


def reader(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of whoever looks at tasks: on a terminal, on the page, or in a dashboard."""
    for name in (VIEW, SCHEDULED_VIEW, task.name, rejected.name, workers.name, monitors.name):
        yield Rights('TABLE', name, ('SELECT',))


def janitor(names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Rights]:
    """Give the rights of whoever deletes what is old."""
    results = result_tables(names, schemas)
    yield from _schemas(*(table.schema for table in results))
    for table in (task, *results, rejected, workers, monitors):
        name = QUOTE.format_table(table)
        yield Rights('TABLE', name, ('SELECT', 'DELETE'))
        # Nobody may lock a row who may not update any column of it.
        yield Rights('TABLE', name, ('UPDATE',), 'date_done' if 'date_done' in table.c else 'last_seen')
    for name in (VIEW, SCHEDULED_VIEW):
        yield Rights('TABLE', name, ('SELECT',))


def role_steps(role: str, needs: Needs, names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[Step]:
    """Give the steps that let a role do what it needs, and nothing else.

    :param role: the name of the role. It is created where there is none, without a password.
    :param needs: the kind of role: `worker`, `monitor`, `reader` or `janitor`.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.

    >>> for step in list(role_steps('exporter', worker, {}, {}))[1:]: print(step.statements[0])
    GRANT SELECT, INSERT, UPDATE ON celery_taskmeta TO exporter
    GRANT USAGE ON SEQUENCE task_id_sequence TO exporter
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
        what = ', '.join(rights.privileges) + (f' ({rights.column})' if rights.column else '')
        where = rights.name if rights.kind == 'TABLE' else f'{rights.kind} {rights.name}'
        yield Step((literal(f'GRANT {what} ON {where} TO {QUOTE.quote(role)}'),), _granted(rights, role))


def _granted(rights: Rights, role: str) -> str:
    # A right that the role has by way of another role may be taken from that one.
    if rights.kind == 'SCHEMA':
        acl = f'(SELECT nspacl FROM pg_namespace WHERE oid = to_regnamespace({quoted(rights.name)}))'
    elif rights.column:
        column = f'attrelid = {oid(rights.name)} AND attname = {quoted(rights.column)}'
        acl = f'(SELECT attacl FROM pg_attribute WHERE {column})'
    else:
        acl = f'(SELECT relacl FROM pg_class WHERE oid = {oid(rights.name)})'
    privileges = ', '.join(map(quoted, rights.privileges))
    return (
        f'(SELECT count(DISTINCT privilege_type) FROM aclexplode({acl}) JOIN pg_roles ON pg_roles.oid = grantee '
        f'WHERE rolname = {quoted(role)} AND privilege_type IN ({privileges})) = {len(rights.privileges)}'
    )


def _schemas(*schemas: str | None) -> Iterator[Rights]:
    for schema in sorted({schema for schema in schemas if schema}):
        yield Rights('SCHEMA', QUOTE.quote(schema), ('USAGE',))
