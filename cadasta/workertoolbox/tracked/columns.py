"""The columns of the two views, and the order in which tasks are listed."""

from typing import Any

import sqlalchemy as sa

from ..database.tables import task
from ..database.views import SCHEDULED_VIEW, VIEW

#: The columns of a result, as Celery's own model has them. An import of that model would load libraries of brokers.
RESULT_COLUMNS: tuple[sa.ColumnClause[Any], ...] = (
    sa.column('status', sa.String()),
    sa.column('date_done', sa.DateTime()),
    sa.column('result', sa.LargeBinary()),
    sa.column('traceback', sa.Text()),
)


#: The columns that say how a task ran, and what has become of it.
_RUN_COLUMNS: tuple[sa.ColumnClause[Any], ...] = (
    sa.column('started', sa.DateTime(timezone=True)),
    sa.column('worker', sa.String()),
    sa.column('runs', sa.Integer()),
    sa.column('waited', sa.Float()),
    sa.column('ran', sa.Float()),
    sa.column('standing', sa.String()),
)


def _view(name: str) -> Any:
    # The body of a message is for whoever sends it again.
    of_task = [column for column in task.columns if column is not task.c.body]
    columns = [sa.column(column.name, column.type) for column in (*of_task, *RESULT_COLUMNS, *_RUN_COLUMNS)]
    return sa.table(name, *columns).c


#: The columns of all tasks and results.
EVERYTHING = _view(VIEW)
#: The columns of the tasks that are stored.
SCHEDULED = _view(SCHEDULED_VIEW)


def newest_first(columns: Any) -> tuple[sa.ColumnElement[Any], ...]:
    """Give the order of a list: the newest task first."""
    return columns.first_seen.desc(), columns.task_id.desc()
