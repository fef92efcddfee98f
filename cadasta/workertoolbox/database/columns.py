"""The columns that this version needs of the tables of tasks and of the views."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from .tables import MONITOR_TABLES, outbox, task
from .views import SCHEDULED_VIEW, VIEW

#: The columns of a result, as Celery's own model has them. An import of that model would load libraries of brokers.
RESULT_COLUMNS: tuple[sa.ColumnClause[Any], ...] = (
    sa.column('status', sa.String()),
    sa.column('date_done', sa.DateTime()),
    sa.column('result', sa.LargeBinary()),
    sa.column('traceback', sa.Text()),
)
# These say how a task ran, and what has become of it.
_RUN_COLUMNS: tuple[sa.ColumnClause[Any], ...] = (
    sa.column('started', sa.DateTime(timezone=True)),
    sa.column('worker', sa.String()),
    sa.column('runs', sa.Integer()),
    sa.column('waited', sa.Float()),
    sa.column('ran', sa.Float()),
    sa.column('standing', sa.String()),
)
#: The columns of the views. The body of a message is for whoever sends it again.
VIEW_COLUMNS: tuple[sa.ColumnClause[Any], ...] = (
    *(sa.column(column.name, column.type) for column in task.columns if column is not task.c.body),
    *RESULT_COLUMNS,
    *_RUN_COLUMNS,
)
#: The columns that the view of the tasks that are stored has in addition, by which PostgreSQL finds tasks fast.
SCHEDULED_COLUMNS: tuple[sa.ColumnClause[Any], ...] = (
    sa.column('result_id', sa.String()),
    sa.column('result_status', sa.String()),
)

_NEEDED: Mapping[str, Sequence[str]] = {
    **{table.name: table.columns.keys() for table in (*MONITOR_TABLES, outbox)},
    VIEW: [column.name for column in VIEW_COLUMNS],
    SCHEDULED_VIEW: [column.name for column in (*VIEW_COLUMNS, *SCHEDULED_COLUMNS)],
}


def missing_columns(connection: sa.Connection, name: str) -> list[str]:
    """List the columns that a table of tasks or a view lacks, because an older version made it.

    :param connection: a connection to the database.
    :param name: the name of the table or view.
    :raises sqlalchemy.exc.NoSuchTableError: where the database has no such table or view.
    """
    present = {column['name'] for column in sa.inspect(connection).get_columns(name)}
    return [column for column in _NEEDED[name] if column not in present]
