"""Summarise the tasks of each name: how many there are, how many failed, how long they waited and ran."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from .columns import SCHEDULED

_QUANTILES = (0.5, 0.95)
_HOUR = timedelta(hours=1)
# PostgreSQL sorts for exact quantiles, in one process. So tasks are counted in buckets of time instead, which several
# processes do. The inverse hyperbolic sine is a logarithm that takes zero and negative times, too: where clocks differ,
# a task may start before it was sent. A bucket is 1 % wide, and 10 microseconds where times are below a millisecond.
_SCALE = 0.001
_WIDTH = math.log(1.01)


@dataclass(frozen=True)
class TaskStats:
    """The tasks of a name. The four times are off by no more than 1 % and 10 microseconds.

    :param name: their name.
    :param count: their number.
    :param rate: their number in an hour.
    :param failed: how many of them failed.
    :param failed_percent: how many of 100 that succeeded or failed did fail; `None` where none has ended so.
    :param waited_p50: half of them waited for so many seconds, or less; `None` where nobody knows.
    :param waited_p95: 95 % of them did so.
    :param ran_p50: half of those that succeeded or failed ran for so many seconds, or less.
    :param ran_p95: 95 % of them did so.

    >>> TaskStats('export.project', 2, 0.5, 1, 50.0, 0.1, 0.2, 3.0, 4.0).failed_percent
    50.0
    """

    name: str
    count: int
    rate: float
    failed: int
    failed_percent: float | None
    waited_p50: float | None
    waited_p95: float | None
    ran_p50: float | None
    ran_p95: float | None


class _Bucket(NamedTuple):
    """Tasks that took about as long as each other, in seconds."""

    least: float
    most: float
    tasks: int

    def value(self, place: int) -> float:
        """Tell how long the task at a place took. All between the first and the last are taken to be evenly spread."""
        return self.least + (self.most - self.least) * place / max(self.tasks - 1, 1)


_IS_FAILED = SCHEDULED.standing == 'failed'
_IS_ENDED = SCHEDULED.standing.in_(['succeeded', 'failed'])
# A task that runs has not run for as long as it will.
_RAN = sa.case((_IS_ENDED, SCHEDULED.ran))


def summing(since: datetime) -> Any:
    """Make the query by which PostgreSQL counts the tasks that were first seen since a time.

    :returns: the query, whose rows `summed` reads: one for each name and bucket of the times that its tasks waited, and
        one for each bucket of the times that they ran.
    """
    # Each task gives two rows. PostgreSQL computes the times once, because a subquery that makes rows stays as it is.
    columns = (
        sa.select(
            SCHEDULED.name,
            _IS_ENDED.label('is_ended'),
            _IS_FAILED.label('is_failed'),
            sa.func.unnest(postgresql.array([sa.true(), sa.false()])).label('is_waited'),
            sa.func.unnest(postgresql.array([SCHEDULED.waited, _RAN])).label('seconds'),
        )
        .where(_is_seen(since))
        .subquery()
        .c
    )
    return sa.select(
        columns.name,
        columns.is_waited,
        sa.func.count(),
        sa.func.count().filter(columns.is_ended),
        sa.func.count().filter(columns.is_failed),
        sa.func.min(columns.seconds),
        sa.func.max(columns.seconds),
    ).group_by(columns.name, columns.is_waited, sa.func.round(sa.func.asinh(columns.seconds / _SCALE) / _WIDTH))


def listing(since: datetime) -> Any:
    """Make the query that finds these tasks, for a database that cannot count them so.

    :returns: the query, whose rows `gathered` reads.
    """
    return sa.select(SCHEDULED.name, _IS_ENDED, _IS_FAILED, SCHEDULED.waited, _RAN).where(_is_seen(since))


def gathered(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Count tasks as PostgreSQL does."""
    found: dict[tuple[str, bool, int | None], tuple[int, int, int, float | None, float | None]] = {}
    for name, is_ended, is_failed, waited, ran in rows:
        for is_waited, seconds in ((True, waited), (False, ran)):
            key = (name, is_waited, None if seconds is None else round(math.asinh(seconds / _SCALE) / _WIDTH))
            count, ended, failed, least, most = found.get(key, (0, 0, 0, seconds, seconds))
            if seconds is not None:
                least, most = min(least, seconds), max(most, seconds)
            found[key] = (count + 1, ended + bool(is_ended), failed + bool(is_failed), least, most)
    return [(name, is_waited, *numbers) for (name, is_waited, _), numbers in found.items()]


def summed(rows: Iterable[Any], since: datetime) -> list[TaskStats]:
    """Read the rows of either query, and put the most frequent names first."""
    hours = (datetime.now(UTC) - since) / _HOUR
    found: dict[str, tuple[list[int], list[_Bucket], list[_Bucket]]] = {}
    for name, is_waited, count, ended, failed, least, most in rows:
        totals, waited, ran = found.setdefault(name, ([0, 0, 0], [], []))
        # The same tasks come again with the times that they ran.
        if is_waited:
            totals[:] = map(sum, zip(totals, (count, ended, failed), strict=True))
        if least is not None:
            (waited if is_waited else ran).append(_Bucket(least, most, count))
    stats = [
        TaskStats(
            name,
            count,
            count / hours,
            failed,
            100 * failed / ended if ended else None,
            *_quantiles(waited),
            *_quantiles(ran),
        )
        for name, ((count, ended, failed), waited, ran) in found.items()
    ]
    return sorted(stats, key=lambda item: (-item.count, item.name))


def _is_seen(since: datetime) -> Any:
    return SCHEDULED.first_seen >= since.astimezone(UTC)


def _quantiles(buckets: list[_Bucket]) -> list[float | None]:
    """Interpolate between the times of tasks, as PostgreSQL's ``percentile_cont`` does."""
    if not buckets:
        return [None] * len(_QUANTILES)
    ordered = sorted(buckets)
    last = sum(bucket.tasks for bucket in ordered) - 1
    found: list[float | None] = []
    for quantile in _QUANTILES:
        place = quantile * last
        lower, upper = (_value(ordered, whole) for whole in (math.floor(place), math.ceil(place)))
        found.append(lower + (place % 1) * (upper - lower))
    return found


def _value(ordered: list[_Bucket], place: int) -> float:
    rest = iter(ordered)
    bucket = next(rest)
    while place >= bucket.tasks:
        place -= bucket.tasks
        bucket = next(rest)
    return bucket.value(place)
