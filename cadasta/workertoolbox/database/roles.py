"""Roles in PostgreSQL that have the rights of a worker or a monitor, and no others."""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from ..seams.sqlalchemy_quoting import QUOTE
from .quoting import literal
from .tables import rejected, result_tables, sequence, task


def worker(role: str, names: Mapping[str, str], schemas: Mapping[str, str]) -> Iterator[sa.TextClause]:
    """Give the statements that let a role store results, and nothing else.

    :param role: the name of the role; it is created where there is none, without a password.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :returns: statements for the transaction that creates the tables.

    >>> for statement in list(worker('exporter', {}, {}))[1:]: print(statement)
    GRANT SELECT, INSERT, UPDATE ON celery_taskmeta TO exporter
    GRANT USAGE ON SEQUENCE task_id_sequence TO exporter
    """
    yield _create(role)
    table, _ = result_tables(names, schemas)
    name = QUOTE.quote(role)
    if table.schema:
        yield literal(f'GRANT USAGE ON SCHEMA {QUOTE.quote(table.schema)} TO {name}')
    yield literal(f'GRANT SELECT, INSERT, UPDATE ON {QUOTE.format_table(table)} TO {name}')
    yield literal(f'GRANT USAGE ON SEQUENCE {QUOTE.format_sequence(sequence(table))} TO {name}')


def monitor(role: str) -> Iterator[sa.TextClause]:
    """Give the statements that let a role store tasks, and nothing else.

    :param role: the name of the role; it is created where there is none, without a password.
    :returns: statements for the transaction that creates the tables.
    """
    yield _create(role)
    for table in (task, rejected):
        yield literal(f'GRANT SELECT, INSERT, UPDATE ON {table.name} TO {QUOTE.quote(role)}')


def _create(role: str) -> sa.TextClause:
    name = role.replace("'", "''")
    tag = '$create$' if '$create$' not in role else '$create_role$'
    return literal(f"""DO {tag} BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN
        CREATE ROLE {QUOTE.quote(role)} LOGIN;
    END IF;
END {tag}""")
