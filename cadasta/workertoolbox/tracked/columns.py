"""The columns of the two views, and the order in which tasks are listed."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from ..database.columns import SCHEDULED_COLUMNS, VIEW_COLUMNS
from ..database.views import SCHEDULED_VIEW, VIEW


def _view(name: str, columns: Iterable[sa.ColumnClause[Any]] = VIEW_COLUMNS) -> Any:
    return sa.table(name, *(sa.column(column.name, column.type) for column in columns)).c


#: The columns of all tasks and results.
EVERYTHING = _view(VIEW)
#: The columns of the tasks that are stored.
SCHEDULED = _view(SCHEDULED_VIEW)
#: The columns of the same view that say which of these tasks have a result.
RESULTS = _view(SCHEDULED_VIEW, (sa.column('task_id', sa.String()), *SCHEDULED_COLUMNS))


def newest_first(columns: Any) -> tuple[sa.ColumnElement[Any], ...]:
    """Give the order of a list: the newest task first."""
    return columns.first_seen.desc(), columns.task_id.desc()


def as_text(value: Any) -> sa.ColumnElement[str]:
    """Give a value within a JSON column as text.

    :param value: the column, with the names or numbers that lead to the value.
    """
    # SQLite gives numbers as numbers.
    return sa.cast(value.as_string(), sa.Text)
