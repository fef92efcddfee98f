"""Summarise the tasks of each name: how many there are, how many failed, how long they waited and ran."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from .columns import SCHEDULED

_QUANTILES = (0.5, 0.95)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class TaskStats:
    """The tasks of a name.

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


_IS_FAILED = SCHEDULED.standing == 'failed'
_IS_ENDED = SCHEDULED.standing.in_(['succeeded', 'failed'])
# A task that runs has not run for as long as it will.
_RAN = sa.case((_IS_ENDED, SCHEDULED.ran))


def summing(since: datetime) -> Any:
    """Make the query by which PostgreSQL summarises the tasks that were first seen since a time.

    :returns: the query, whose rows `summed` reads.
    """
    quantiles = sa.text(f'ARRAY{list(_QUANTILES)}::double precision[]')
    return (
        sa.select(
            SCHEDULED.name,
            sa.func.count(),
            sa.func.count().filter(_IS_ENDED),
            sa.func.count().filter(_IS_FAILED),
            *(sa.func.percentile_cont(quantiles).within_group(column) for column in (SCHEDULED.waited, _RAN)),
        )
        .where(_is_seen(since))
        .group_by(SCHEDULED.name)
    )


def listing(since: datetime) -> Any:
    """Make the query that finds these tasks, for a database that cannot summarise them.

    :returns: the query, whose rows `gathered` reads.
    """
    return sa.select(SCHEDULED.name, _IS_ENDED, _IS_FAILED, SCHEDULED.waited, _RAN).where(_is_seen(since))


def gathered(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Summarise tasks as PostgreSQL does."""
    found: dict[str, tuple[list[int], array[float], array[float]]] = {}
    for name, is_ended, is_failed, waited, ran in rows:
        counts, *seconds = found.setdefault(name, ([0, 0, 0], array('d'), array('d')))
        for number, is_counted in enumerate((True, is_ended, is_failed)):
            counts[number] += bool(is_counted)
        for values, value in zip(seconds, (waited, ran), strict=True):
            if value is not None:
                values.append(value)
    return [(name, *counts, _quantiles(waited), _quantiles(ran)) for name, (counts, waited, ran) in found.items()]


def summed(rows: Iterable[Any], since: datetime) -> list[TaskStats]:
    """Read the rows of either query, and put the most frequent names first."""
    hours = (datetime.now(UTC) - since) / _HOUR
    nothing = [None] * len(_QUANTILES)
    stats = [
        TaskStats(
            name,
            count,
            count / hours,
            failed,
            100 * failed / ended if ended else None,
            *(waited or nothing),
            *(ran or nothing),
        )
        for name, count, ended, failed, waited, ran in rows
    ]
    return sorted(stats, key=lambda item: (-item.count, item.name))


def _is_seen(since: datetime) -> Any:
    return SCHEDULED.first_seen >= since.astimezone(UTC)


def _quantiles(values: 'array[float]') -> list[float] | None:
    """Interpolate between values, as PostgreSQL's ``percentile_cont`` does."""
    ordered = sorted(values)
    if not ordered:
        return None
    found = []
    for quantile in _QUANTILES:
        place = quantile * (len(ordered) - 1)
        lower = int(place)
        upper = min(lower + 1, len(ordered) - 1)
        found.append(ordered[lower] + (place - lower) * (ordered[upper] - ordered[lower]))
    return found
