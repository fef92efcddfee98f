"""The tables that the monitor writes, and Celery's tables of results."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from celery import states
from sqlalchemy.dialects import postgresql

from ..architecture import CHORD_UNLOCK, ID_LENGTH, OUTBOX

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql')
_TIME = sa.DateTime(timezone=True)

metadata = sa.MetaData()

#: The states whose result is an exception.
RAISED = (states.FAILURE, states.RETRY, states.REVOKED)
#: An index has this many bytes of an exception: more than the names of classes have.
ERROR_LENGTH = 100

#: One row for each task that anyone scheduled, made from its latest message.
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
    # By the clock of the producer.
    sa.Column('sent', _TIME),
    # The body of the message, as it was: PostgreSQL sorts the keys of JSON and writes some numbers differently.
    sa.Column('body', sa.LargeBinary),
    # How often somebody has sent the task again.
    sa.Column('resent', sa.Integer),
    # With this operator class, PostgreSQL also uses the index for the beginning of a name, in any collation.
    sa.Index('ix_celery_task_name', 'name', 'first_seen', postgresql_ops={'name': 'text_pattern_ops'}),
    sa.Index('ix_celery_task_routing_key', 'routing_key', 'first_seen'),
)


def unlock_arguments(args: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Give the beginning of a task's arguments as text. An index holds it for each ``celery.chord_unlock``.

    :param args: the column of the Task table, or of a view of it.
    """
    return sa.func.substr(sa.cast(args, sa.Text), sa.literal_column('1'), sa.literal_column(str(2 * ID_LENGTH)))


def later_id(options: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Give the id of the last task of a task's chain, or of the body of its chord. An index holds it.

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

# Few tasks have an ``eta``, and fewer have one that is ahead.
task.append_constraint(sa.Index('ix_celery_task_eta', task.c.eta, postgresql_where=task.c.eta.is_not(None)))


def error_beginning(result: sa.ColumnElement[Any]) -> sa.ColumnElement[bytes]:
    """Give the beginning of an exception, which has the name of its class. An index holds it.

    :param result: the column of the table of results, or of a view of it.
    """
    return sa.func.substr(result, sa.literal_column('1'), sa.literal_column(str(ERROR_LENGTH)), type_=sa.LargeBinary())


#: The messages that cannot be read as a task. Each row keeps the whole message, so that it can be published again.
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

#: One row for each start of a worker, made from its latest report.
workers = sa.Table(
    'celery_worker',
    metadata,
    sa.Column('boot', sa.String(36), primary_key=True),
    sa.Column('name', sa.Text, nullable=False),
    sa.Column('host', sa.Text, nullable=False),
    sa.Column('pid', sa.BigInteger, nullable=False),
    sa.Column('queues', _JSON, nullable=False),
    sa.Column('pool', sa.Text, nullable=False),
    sa.Column('concurrency', sa.BigInteger, nullable=False),
    sa.Column('active', sa.BigInteger, nullable=False),
    sa.Column('held', sa.BigInteger, nullable=False),
    sa.Column('done', sa.BigInteger, nullable=False),
    sa.Column('versions', _JSON, nullable=False),
    # Reports may come in another order than they were sent in.
    sa.Column('number', sa.BigInteger, nullable=False),
    sa.Column('first_seen', _TIME, nullable=False),
    sa.Column('last_seen', _TIME, nullable=False),
    sa.Column('ended', _TIME),
)

#: One row for each start of a monitor, which says how far it has read.
monitors = sa.Table(
    'celery_monitor',
    metadata,
    sa.Column('boot', sa.Text, primary_key=True),
    sa.Column('host', sa.Text, nullable=False),
    sa.Column('pid', sa.BigInteger, nullable=False),
    sa.Column('version', sa.Text, nullable=False),
    sa.Column('first_seen', _TIME, nullable=False),
    sa.Column('last_seen', _TIME, nullable=False),
    # All that had come to the platform queue at this time is stored.
    sa.Column('caught_up', _TIME),
    sa.Column('ended', _TIME),
)

#: The messages of `outbox` that a relay has not published yet. The database that an application writes has it, which
#: need not be that of the platform.
outbox = sa.Table(
    OUTBOX,
    metadata,
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), sa.Identity(always=True), primary_key=True),
    # PostgreSQL fills it in: see `cadasta.workertoolbox.database.outbox`.
    sa.Column('transaction_id', sa.BigInteger),
    sa.Column('written', _TIME, nullable=False, server_default=sa.func.now()),
    sa.Column('task_id', sa.String(ID_LENGTH), nullable=False),
    sa.Column('name', sa.Text, nullable=False),
    sa.Column('routing_key', sa.Text, nullable=False),
    # This type keeps the text as it is: JSONB knows no NUL, and writes some numbers differently.
    sa.Column('headers', sa.JSON, nullable=False),
    sa.Column('properties', sa.JSON, nullable=False),
    sa.Column('body', sa.LargeBinary, nullable=False),
    # A relay fills them in where the message can never be published.
    sa.Column('refused', _TIME),
    sa.Column('reason', sa.Text),
)
outbox.append_constraint(
    sa.Index(
        'ix_celery_outbox_transaction',
        outbox.c.transaction_id,
        outbox.c.id,
        postgresql_where=outbox.c.reason.is_(None),
    )
)

#: The tables that the monitor writes.
MONITOR_TABLES = (task, rejected, workers, monitors)


def result_tables(names: Mapping[str, str], schemas: Mapping[str, str]) -> tuple[sa.Table, sa.Table]:
    """Copy the tables of Celery's database backend.

    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :returns: the tables of results and of saved groups.

    >>> [table.name for table in result_tables({}, {})]
    ['celery_taskmeta', 'celery_tasksetmeta']
    """
    from ..seams.celery_results import copied_tables

    results, groups = copied_tables(names, schemas)
    for table in (results, groups):
        # Celery's are of 32 bits. SQLite numbers rows only in a column of this type.
        table.c.id.type = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    # These columns say which run has claimed the task: see `cadasta.workertoolbox.results.claim`. Celery's own table
    # has columns for the worker and the retries.
    for column in (
        sa.Column('started', _TIME),
        sa.Column('lease', _TIME),
        sa.Column('runs', sa.Integer),
        sa.Column('replaced', sa.Integer),
        # The role that stored the row first: see `cadasta.workertoolbox.database.ownership`.
        sa.Column('role', sa.Text),
    ):
        results.append_column(column)
    # Most results are successes, and nobody searches for them by their state. So the index leaves them out.
    sa.Index(None, results.c.status, postgresql_where=results.c.status != states.SUCCESS)
    # PostgreSQL allows 63 bytes.
    name = results.name[:50]
    # Many tasks may have failed, and few have not ended: this index has only the latter.
    sa.Index(
        f'ix_{name}_open',
        results.c.status,
        postgresql_where=results.c.status.not_in(sorted(states.READY_STATES)),
    )
    sa.Index(
        f'ix_{name}_error',
        error_beginning(results.c.result).label('beginning'),
        postgresql_where=results.c.status.in_(RAISED),
    )
    return results, groups


def sequence(table: sa.Table) -> sa.Sequence:
    """Name the sequence that numbers the rows of one of Celery's result tables."""
    default = table.c.id.default
    assert isinstance(default, sa.Sequence)  # noqa: S101  # so Celery defines them
    # A copy of a table may share the sequence object with Celery's own table, so this makes another.
    return sa.Sequence(default.name, schema=table.schema, data_type=sa.BigInteger)


def sorted_indexes(table: sa.Table) -> list[sa.Index]:
    """List the indexes of a table in the order of their names."""
    return sorted(table.indexes, key=lambda index: str(index.name))


def present_columns(connection: sa.Connection, table: sa.Table) -> set[str]:
    """List the columns that a table has in its database, which may be older than this package.

    :param connection: a connection to the database.
    :param table: the table, as this package knows it.
    :returns: the names of the columns.
    :raises sqlalchemy.exc.NoSuchTableError: where the database has no such table.
    """
    return {column['name'] for column in sa.inspect(connection).get_columns(table.name, schema=table.schema)}
