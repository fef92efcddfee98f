"""Count the tasks that failed, by task and by error."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from celery.states import FAILURE

from .columns import EVERYTHING, SCHEDULED
from .filter import Filter, indexed
from .raised import raised

# The most bytes that are read of a result. An error message may have megabytes.
_READ = 10_000
# The most characters of a message by which failures are told apart.
_LENGTH = 200
# Addresses in memory, UUIDs and numbers.
_VARYING = re.compile(r'0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+', re.IGNORECASE)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Failure:
    """Tasks that failed in the same way.

    :param name: the name of the tasks; `None` where failures are counted by their error, or the tasks are not stored.
    :param error: the class of the error, with its module unless it is one of Python's own; `None` where failures are
        counted by task, or the result says nothing of an error.
    :param message: the beginning of its message, in which ``#`` stands for each number; `None` where the error is.
    :param count: the number of the tasks.
    :param rate: their number in an hour.
    :param first: when the first of them failed.
    :param last: when the last of them failed.
    :param example: the id of the last of them.

    >>> noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    >>> Failure('export.project', 'KeyError', '#', 7, 3.5, noon, noon, 'an-id').error
    'KeyError'
    """

    name: str | None
    error: str | None
    message: str | None
    count: int
    rate: float
    first: datetime
    last: datetime
    example: str


def failing(since: datetime, by: str | None, where: Filter) -> Iterator[Any]:
    """Make the queries that find the tasks that failed.

    :param since: the earliest time at which they failed.
    :param by: ``'task'`` or ``'error'``, or `None`, which counts by both.
    :param where: conditions on their tasks.
    :returns: the queries, whose rows `counted` reads.
    """
    # Celery's tables have no time zone.
    since = since.astimezone(UTC).replace(tzinfo=None)
    yield _failed(SCHEDULED, since, by).where(*indexed(where, SCHEDULED))
    if where.is_of_results:
        yield _failed(EVERYTHING, since, by).where(EVERYTHING.first_seen.is_(None))


def _failed(columns: Any, since: datetime, by: str | None) -> Any:
    result = sa.null() if by == 'task' else sa.func.substr(columns.result, 1, _READ)
    return sa.select(columns.name, columns.task_id, columns.date_done, result.label('result')).where(
        # By the state, PostgreSQL finds them by an index. Those that never ran have another standing.
        columns.status == FAILURE,
        columns.standing == 'failed',
        columns.date_done >= since,
    )


def counted(rows: Iterable[Any], since: datetime, by: str | None) -> list[Failure]:
    """Count failures.

    :param rows: the rows of the queries.
    :param since: when the time began in which they failed.
    :param by: by what they are counted.
    :returns: the most frequent ones first.
    """
    found: dict[tuple[str | None, str | None, str | None], tuple[int, datetime, datetime, str]] = {}
    for name, task_id, done, result in rows:
        error, message = (None, None) if by == 'task' else described(bytes(result or b''))
        key = (None if by == 'error' else name, error, message)
        count, first, last, example = found.get(key, (0, done, done, task_id))
        found[key] = (count + 1, min(first, done), max(last, done), task_id if done >= last else example)
    hours = (datetime.now(UTC) - since) / _HOUR
    failures = [
        Failure(*key, count, count / hours, first.replace(tzinfo=UTC), last.replace(tzinfo=UTC), example)
        for key, (count, first, last, example) in found.items()
    ]
    return sorted(failures, key=lambda failure: (failure.count, failure.last), reverse=True)


@lru_cache(1_000)
def described(result: bytes) -> tuple[str | None, str | None]:
    """Read the class of an error, and its message with the numbers masked, from the result of a task that failed.

    :param result: the beginning of what is stored, which may be anything.

    >>> described(b'{"exc_type": "KeyError", "exc_message": ["parcel 42"], "exc_module": "builtins"}')
    ('KeyError', 'parcel #')
    >>> described(b'anything')
    (None, None)
    """
    error = raised(result)
    return (None, None) if error is None else (error.kind, _VARYING.sub('#', error.message[:_LENGTH]))
