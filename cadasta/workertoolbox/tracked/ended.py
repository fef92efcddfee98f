"""Find the tasks that ended in a stretch of time."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from celery.states import READY_STATES

from .columns import EVERYTHING


class EndedTask(NamedTuple):
    """A task that has ended.

    :param name: its name; `None` where only its result is stored.
    :param standing: ``succeeded``, ``failed``, ``cancelled`` or ``expired``.
    :param waited: how long it waited until it started, in seconds; `None` where nobody knows.
    :param ran: how long it ran, in seconds; `None` where it did not, or nobody knows.

    >>> EndedTask('export.project', 'failed', 0.1, 7.0).ran
    7.0
    """

    name: str | None
    standing: str
    waited: float | None
    ran: float | None


# A task that was cancelled while it ran has not run for as long as it does.
_RAN = sa.case((EVERYTHING.standing.in_(['succeeded', 'failed']), EVERYTHING.ran))


def ending(after: datetime, until: datetime, most: int) -> Any:
    """Make the query for the tasks that ended after a time, and not later than another one.

    :param after: the first time, in UTC and without a time zone, as it is in Celery's table.
    :param until: the other time.
    :param most: the most tasks to find.
    :returns: the query, whose rows `ended` reads.
    """
    done = EVERYTHING.date_done
    return (
        sa.select(EVERYTHING.name, EVERYTHING.standing, EVERYTHING.waited, _RAN)
        .where(done > after, done <= until, EVERYTHING.status.in_(sorted(READY_STATES)))
        .limit(most)
    )


def ended(rows: Iterable[Any]) -> list[EndedTask]:
    """Read the rows of the query."""
    return [EndedTask(*row) for row in rows]
