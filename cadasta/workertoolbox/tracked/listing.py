"""Make the queries for lists of tasks, newest first."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from ..database.values import storable
from .columns import EVERYTHING, SCHEDULED, newest_first
from .extent import Extent, selected
from .filter import Filter, by_state, by_stored_state, has_state, indexed, is_after, others, read_by
from .task import Cursor

# PostgreSQL looks up the states of this many tasks in a few milliseconds.
_NEWEST = 2_000


def scheduled(where: Filter, limit: int, before: Cursor | None, extent: Extent | None) -> list[Any]:
    """Make the queries for tasks that are stored. Each finds all that the one before it finds, or stops at the limit.

    :param where: the tasks to list.
    :param limit: the most tasks.
    :param before: the place after which the list begins.
    :param extent: how much to read; `None` for nothing but the ids.
    :returns: a query that may find too few, if there is one, and a query that finds all.
    """
    met = [*indexed(where, SCHEDULED), *([] if before is None else [is_after(before)])]
    if where.is_indexed:
        return [_list(SCHEDULED, met, limit, extent)]
    return [_among_newest(where, limit, met, extent), _among_all(where, limit, met, extent)]


def unscheduled(where: Filter, limit: int, before: Cursor | None, extent: Extent | None) -> Any:
    """Make the query for results whose task is not stored, in the order of their ids.

    :param where: the results to list.
    :param limit: the most results.
    :param before: the place after which the list begins.
    :param extent: how much to read; `None` for nothing but the ids.
    """
    met = [EVERYTHING.first_seen.is_(None), *by_stored_state(where), *others(where, EVERYTHING)]
    if before is not None:
        met.append(EVERYTHING.task_id < storable(before.task_id))
    return sa.select(*_picked(EVERYTHING, extent)).where(*met).order_by(EVERYTHING.task_id.desc()).limit(limit)


def _among_newest(where: Filter, limit: int, met: list[Any], extent: Extent | None) -> Any:
    # No index can cover both the time and what is in the table of results. The newest tasks alone fill most pages, so
    # this looks at them.
    needed = {*read_by(where), *(extent.columns if extent else ())}
    newest = _list(SCHEDULED, met, _NEWEST, Extent(sorted(needed))).subquery().c
    states = [] if where.state is None else [has_state(newest, where.state)]
    return _list(newest, [*others(where, newest), *states], limit, extent)


def _among_all(where: Filter, limit: int, met: list[Any], extent: Extent | None) -> Any:
    # PostgreSQL would look up one task after another to the end of the table. The materialized query makes it find all
    # matching tasks first, which is faster.
    met = [*met, *others(where, SCHEDULED)]
    matching = [sa.select(SCHEDULED.task_id, SCHEDULED.first_seen).where(*met, *states) for states in by_state(where)]
    keys = sa.union_all(*matching).cte('matching').prefix_with('MATERIALIZED', dialect='postgresql')
    page = sa.select(keys.c.task_id).order_by(*newest_first(keys.c)).limit(limit)
    return _list(SCHEDULED, [SCHEDULED.task_id.in_(page)], limit, extent)


def _list(columns: Any, met: Iterable[Any], limit: int, extent: Extent | None) -> Any:
    return sa.select(*_picked(columns, extent)).where(*met).order_by(*newest_first(columns)).limit(limit)


def _picked(columns: Any, extent: Extent | None) -> Iterable[sa.ColumnElement[Any]]:
    return [columns.task_id] if extent is None else selected(columns, extent)
