"""Count the tasks that were scheduled, by time, state and queue."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from .columns import SCHEDULED
from .task import STATES


class Count(NamedTuple):
    """The number of tasks that were first seen in a stretch of time.

    :param start: when it begins.
    :param state: the state that they have now.
    :param queue: their routing key.
    :param tasks: their number.

    >>> Count(datetime(2030, 1, 1, tzinfo=UTC), 'SUCCESS', 'export', 7).tasks
    7
    """

    start: datetime
    state: str
    queue: str | None
    tasks: int


# PostgreSQL's `extract` gives a number with any number of digits, by which it groups slowly.
_SECONDS: dict[str, sa.ColumnElement[Any]] = {
    'postgresql': sa.cast(sa.func.floor(sa.func.date_part('epoch', SCHEDULED.first_seen)), sa.BigInteger),
    'sqlite': sa.extract('epoch', SCHEDULED.first_seen),
}


def counting(dialect: str, since: datetime, bucket: timedelta) -> Any:
    """Make the query that counts tasks.

    :param dialect: the kind of the database.
    :param since: the earliest time at which they were first seen.
    :param bucket: the length of a stretch of time, in whole seconds.
    :returns: the query, whose rows `counted` reads.
    """
    length = int(bucket.total_seconds())
    seconds = _SECONDS[dialect]
    keys = [
        (seconds - seconds % length).label('start'),
        sa.func.coalesce(SCHEDULED.status, STATES[0]).label('state'),
        SCHEDULED.routing_key,
    ]
    return sa.select(*keys, sa.func.count()).where(SCHEDULED.first_seen >= since.astimezone(UTC)).group_by(*keys)


def counted(rows: Any) -> list[Count]:
    """Read the rows of the query, in order of time, state and queue."""
    counts = [Count(datetime.fromtimestamp(int(start), UTC), *others) for start, *others in rows]
    return sorted(counts, key=lambda count: (count.start, count.state, count.queue or ''))
