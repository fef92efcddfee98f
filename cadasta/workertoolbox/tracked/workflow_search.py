"""Find the tasks of a workflow by conditions in SQL."""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from ..architecture import CHORD_UNLOCK
from ..database.tables import later_id, unlock_arguments
from ..database.values import storable
from .columns import EVERYTHING
from .portions import VALUES, portions

_FEW = 20


def related(relatives: Iterable[tuple[str, str]]) -> Iterator[sa.ColumnElement[bool]]:
    """Make the conditions that find tasks by the values of their columns.

    :param relatives: names of columns, and values, as `relations.relatives` gives them.
    :returns: a condition for each portion of the values.
    """
    for some in portions(sorted(relatives), VALUES):
        values: dict[str, list[str]] = {}
        for name, value in some:
            values.setdefault(name, []).append(storable(value))
        conditions = [EVERYTHING[name].in_(texts) for name, texts in values.items()]
        conditions += [unlocks_of(EVERYTHING, group_id) for group_id in values.get('group_id', ())]
        yield sa.or_(*conditions)


def senders(task_ids: Iterable[str]) -> Iterator[sa.ColumnElement[bool]]:
    """Make the conditions that find the tasks that are to send others: their messages name the ids of those.

    :param task_ids: the ids of the others.
    :returns: a condition for each portion of the ids.
    """
    # PostgreSQL cannot know how many tasks name an id. It uses the index where a condition has few ids.
    for some in portions(sorted(map(storable, task_ids)), _FEW):
        yield later_id(EVERYTHING.options).in_(some)


def unlocks_of(columns: Any, group_id: str) -> sa.ColumnElement[bool]:
    """Make the condition that finds the ``celery.chord_unlock`` that waits for a group.

    :param columns: the columns of a view.
    :param group_id: the id of the group.
    """
    # The column holds the arguments as JSON, or the text of their `repr`.
    beginning = unlock_arguments(columns.args)
    starts = (beginning.startswith(text, autoescape=True) for text in (f'["{group_id}"', f"\"('{group_id}'"))
    return sa.and_(columns.name == CHORD_UNLOCK, sa.or_(*starts))
