"""Let only the role that stored a row of results first write it, in PostgreSQL. It is the role of a service.

A row without a role belongs to nobody, and any service may write it: the row is older than the column, or its task has
never been started. A worker of version 1.0 would wait for ever for a row that it may read and not write, and brokers
deliver messages twice. Whoever has a right on the whole table that a worker does not need may write any row: those who
delete, cancel or send again.
"""

import sqlalchemy as sa

from ..seams.sqlalchemy_quoting import QUOTE
from .quoting import literal, oid, quoted
from .steps import Step

#: The column that has the role.
ROLE = 'role'
#: The policies of the table.
POLICIES = ('read_all_rows', 'store_own_rows', 'change_own_rows', 'delete_all_rows')


def may_write(table: sa.Table, row: str = '') -> str:
    """Write the condition in SQL under which the current role may write a row of results.

    The policies of the table have the same condition. A statement that inserts a row or else changes it fails where a
    policy forbids the change, unless its own condition forbids the change too.

    :param table: the table of results.
    :param row: the alias of the row in the statement, and a dot.

    >>> from cadasta.workertoolbox.database.tables import result_tables
    >>> print(may_write(result_tables({}, {})[0]))
    (role = current_user OR role IS NULL OR has_table_privilege('celery_taskmeta'::regclass, 'UPDATE, DELETE'))
    """
    may_write_all = f"has_table_privilege({quoted(QUOTE.format_table(table))}::regclass, 'UPDATE, DELETE')"
    return f'({row}{ROLE} = current_user OR {row}{ROLE} IS NULL OR {may_write_all})'


def ownership_step(table: sa.Table) -> Step:
    """Let each role write its own rows of a table of results.

    The default of a column that is added at once with it would be stored for all rows that are there.
    """
    name = QUOTE.format_table(table)
    rules = (
        'FOR SELECT USING (true)',
        f'FOR INSERT WITH CHECK {may_write(table)}',
        f'FOR UPDATE USING {may_write(table)}',
        # Those who have this right delete what is old.
        'FOR DELETE USING (true)',
    )
    statements = [f'ALTER TABLE {name} ALTER COLUMN {ROLE} SET DEFAULT current_user']
    for policy, rule in zip(POLICIES, rules, strict=True):
        statements += [f'DROP POLICY IF EXISTS {policy} ON {name}', f'CREATE POLICY {policy} ON {name} {rule}']
    statements.append(f'ALTER TABLE {name} ENABLE ROW LEVEL SECURITY')
    number = oid(name)
    return Step(
        tuple(map(literal, statements)),
        f"""(SELECT relrowsecurity FROM pg_class WHERE oid = {number}) IS TRUE
        AND (SELECT count(*) FROM pg_policy WHERE polrelid = {number}
             AND polname IN ({', '.join(map(quoted, POLICIES))})) = {len(POLICIES)}
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = {number} AND attname = {quoted(ROLE)} AND atthasdef)""",
        name,
    )
