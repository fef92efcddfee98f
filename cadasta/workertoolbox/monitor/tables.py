"""The tables that the monitor writes, the view that joins tasks to their results, and Celery's result tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

#: The longest id of a task that Celery's result table and the Task table hold, in characters.
ID_LENGTH = 155

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql')
_TIME = sa.DateTime(timezone=True)
# Any number that no other program uses for its own locks in this database.
_LOCK = 6_027_911_034

#: PostgreSQL without a driver, and how it and SQLite quote names. A driver would want percent signs to be doubled.
POSTGRESQL: Dialect = PGDialect(paramstyle='named')  # type: ignore[no-untyped-call]  # SQLAlchemy
QUOTE = POSTGRESQL.identifier_preparer

metadata = sa.MetaData()

#: Every task that anyone scheduled, as its latest message says.
task = sa.Table(
    'celery_task',
    metadata,
    sa.Column('task_id', sa.String(ID_LENGTH), primary_key=True),
    sa.Column('name', sa.Text, nullable=False),
    sa.Column('args', _JSON),
    sa.Column('kwargs', _JSON),
    sa.Column('root_id', sa.String(ID_LENGTH), index=True),
    sa.Column('parent_id', sa.String(ID_LENGTH)),
    sa.Column('group_id', sa.String(ID_LENGTH), index=True),
    sa.Column('routing_key', sa.Text),
    sa.Column('eta', _TIME),
    sa.Column('expires', _TIME),
    sa.Column('retries', sa.Integer, nullable=False),
    sa.Column('timelimit', _JSON),
    sa.Column('origin', sa.Text),
    sa.Column('options', _JSON, nullable=False),
    sa.Column('first_seen', _TIME, nullable=False, index=True),
    sa.Column('last_seen', _TIME, nullable=False),
    # A prefix of a name is looked up in it too, whatever the database's collation.
    sa.Index('ix_celery_task_name', 'name', 'first_seen', postgresql_ops={'name': 'text_pattern_ops'}),
    sa.Index('ix_celery_task_routing_key', 'routing_key', 'first_seen'),
)

#: The task that sends the body of a chord when its header is done. Its first argument is the id of the header's group.
CHORD_UNLOCK = 'celery.chord_unlock'


def unlock_arguments(args: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Give the beginning of a task's arguments as text; of chord_unlock's, it is indexed.

    :param args: the column of the Task table, or of a view of it.
    """
    return sa.func.substr(sa.cast(args, sa.Text), sa.literal_column('1'), sa.literal_column(str(2 * ID_LENGTH)))


def later_id(options: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Give the id of the last task of the chain, or of the body of the chord, that a task belongs to; it is indexed.

    :param options: the column of the Task table, or of a view of it.
    """
    return sa.func.coalesce(
        options['chain', 0, 'options', 'task_id'].as_string(), options['chord', 'options', 'task_id'].as_string()
    )


task.append_constraint(
    sa.Index(
        'ix_celery_task_later',
        later_id(task.c.options).label('later'),
        postgresql_where=later_id(task.c.options).is_not(None),
    )
)
task.append_constraint(
    sa.Index(
        'ix_celery_task_chord_unlock',
        unlock_arguments(task.c.args).label('beginning'),
        postgresql_ops={'beginning': 'text_pattern_ops'},
        postgresql_where=task.c.name == CHORD_UNLOCK,
    )
)

#: Messages that cannot be understood, whole: `message` can be published again.
rejected = sa.Table(
    'celery_task_rejected',
    metadata,
    sa.Column('digest', sa.String(64), primary_key=True),
    sa.Column('reason', sa.Text, nullable=False),
    sa.Column('task_id', sa.Text),
    sa.Column('name', sa.Text),
    sa.Column('routing_key', sa.Text),
    sa.Column('message', sa.LargeBinary, nullable=False),
    sa.Column('first_seen', _TIME, nullable=False),
    sa.Column('last_seen', _TIME, nullable=False),
)

VIEW = 'celery_task_status'
#: The part of the view that holds the tasks which are stored, with no state where there is no result. PostgreSQL can
#: use its indexes for any condition and any order of it; of a union, for conditions alone.
SCHEDULED_VIEW = 'celery_task_scheduled'


def result_tables(names: Mapping[str, str], schemas: Mapping[str, str]) -> tuple[sa.Table, sa.Table]:
    """Copy the tables of Celery's database backend.

    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :returns: the tables of results and of saved groups.

    >>> [table.name for table in result_tables({}, {})]
    ['celery_taskmeta', 'celery_tasksetmeta']
    """
    from celery.backends.database.models import TaskExtended, TaskSet

    copies = sa.MetaData()
    tables = []
    for key, model in (('task', TaskExtended), ('group', TaskSet)):
        name = names.get(key) or model.__tablename__
        tables.append(model.__table__.to_metadata(copies, schema=schemas.get(key), name=name))
    # Most results are successes, and nobody looks for those by their state.
    sa.Index(None, tables[0].c.status, postgresql_where=tables[0].c.status != 'SUCCESS')
    return tables[0], tables[1]


def sequence(table: sa.Table) -> sa.Sequence:
    """Name the sequence that numbers the rows of one of Celery's result tables."""
    default = table.c.id.default
    assert isinstance(default, sa.Sequence)  # noqa: S101  # so Celery defines them
    # Not the table's own: copies of a table may share it with Celery's.
    return sa.Sequence(default.name, schema=table.schema)


def statements(names: Mapping[str, str], schemas: Mapping[str, str], dialect: Dialect) -> Iterator[Any]:
    """Give the statements that create or upgrade all tables and the view; running them again does no harm.

    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :param dialect: the dialect of the database.
    :returns: statements, to be run in order, in one transaction.
    """
    on_postgresql = dialect.name == 'postgresql'
    results = result_tables(names, schemas)
    if on_postgresql:
        # Two of them at once would find the same things missing.
        yield sa.text(f'SELECT pg_advisory_xact_lock({_LOCK})')
        for table in results:
            yield CreateSequence(sequence(table), if_not_exists=True)
    for table in (*results, task, rejected):
        yield CreateTable(table, if_not_exists=True)
        if on_postgresql:
            yield from _missing_columns(table, dialect)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield CreateIndex(index, if_not_exists=True)
    views = _views(results[0], dialect)
    if not on_postgresql:
        for name in reversed(views):
            yield sa.text(f'DROP VIEW IF EXISTS {name}')
    # What people were granted on a view stays when it is replaced.
    create = 'CREATE OR REPLACE VIEW' if on_postgresql else 'CREATE VIEW'
    for name, query in views.items():
        yield sa.text(f'{create} {name} AS {query}')


def _missing_columns(table: sa.Table, dialect: Dialect) -> Iterator[sa.TextClause]:
    columns = [
        f'ADD COLUMN IF NOT EXISTS {column.name} {column.type.compile(dialect)}'
        for column in table.columns
        if column.nullable
    ]
    yield sa.text(f'ALTER TABLE {QUOTE.format_table(table)} {", ".join(columns)}')


def _views(result: sa.Table, dialect: Dialect) -> dict[str, str]:
    table = QUOTE.format_table(result)
    others = [column for column in task.columns if column is not task.c.task_id]
    columns, of_task = (', '.join(f'{prefix}{column.name}' for column in others) for prefix in ('', 't.'))
    # Of a constant, PostgreSQL knows that it meets no condition on the task.
    nothing = ', '.join(f'CAST(NULL AS {column.type.compile(dialect)}) AS {column.name}' for column in others)
    return {
        # Written so, the tasks without a state are an anti-join.
        SCHEDULED_VIEW: f"""
SELECT t.task_id, r.status, r.date_done, r.result, r.traceback, {of_task}
FROM celery_task t LEFT JOIN {table} r ON r.task_id = t.task_id AND r.status <> 'PENDING'""",  # noqa: S608  # the names are quoted
        # Two halves instead of a full join: PostgreSQL can then use the indexes for a condition on the task's id.
        VIEW: f"""
SELECT task_id, COALESCE(status, 'PENDING') AS status, date_done, result, traceback, {columns}
FROM {SCHEDULED_VIEW}
UNION ALL
SELECT r.task_id, r.status, r.date_done, r.result, r.traceback, {nothing}
FROM {table} r LEFT JOIN celery_task t ON t.task_id = r.task_id WHERE t.task_id IS NULL""",  # noqa: S608  # the names are quoted
    }
