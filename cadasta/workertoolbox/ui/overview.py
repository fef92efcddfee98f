"""Gather what is to be known now: what fails, what is lost, queues, workers, the monitor, and the last hour."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from celery.states import FAILURE

from ..tracked import Failure, ReportedWorker
from ..tracked.readings import Readings, consumers_by_key, silent
from .chart import Line
from .windows import HOUR

#: The most kinds of failures, and the most queues, on the page.
ROWS = 10
#: So many of the newest tasks of each queue are looked at.
NEWEST = 300


@dataclass(frozen=True)
class Queue:
    """A work queue.

    :param key: its routing key.
    :param consumers: the workers that are alive and say that they consume it.
    :param queued: its tasks that have yet to start, among the newest ones.
    :param idle: for how long nobody has started any of these, in seconds.
    :param hour: its tasks in the last hour.
    """

    key: str
    consumers: int
    queued: int
    idle: float
    hour: int


@dataclass(frozen=True)
class Overview:
    """The platform as it is now.

    :param lag: how long ago a monitor had stored all that was in the platform queue, in seconds; `None` for never.
    :param monitors: the monitors that are at work.
    :param lost: the tasks for which no worker vouches any more.
    :param rejected: the messages that no monitor could read.
    :param workers: the workers that are alive.
    :param silent: the workers that are silent.
    :param failures: the most frequent failures of the last hour.
    :param queues: the queues with most tasks in the last hour.
    :param more_queues: the number of other queues.
    :param scheduled: the tasks of the last hour, minute by minute.
    :param failed: those of them that failed.
    """

    lag: float | None
    monitors: int
    lost: int
    rejected: int
    workers: int
    silent: Sequence[ReportedWorker]
    failures: Sequence[Failure]
    queues: Sequence[Queue]
    more_queues: int
    scheduled: Line
    failed: Line


def overview(readings: Readings) -> Overview:
    """Read the platform as it is now.

    :param readings: the database.
    :raises NotUsable: where a table is missing, or the role may not read it.
    :raises sqlalchemy.exc.DBAPIError: where the database cannot be read.
    """
    reported = readings.reported()
    since = HOUR.first_bar
    counts = readings.counts(since, HOUR.bucket)
    scheduled, failed = Counter[int](), Counter[int]()
    hour = Counter[str]()
    for count in counts:
        minute = HOUR.bar(count.start, since)
        scheduled[minute] += count.tasks
        failed[minute] += count.tasks if count.state == FAILURE else 0
        hour[count.queue or ''] += count.tasks
    served = consumers_by_key(reported)
    keys = sorted((hour | served).keys() - {''}, key=lambda key: (-hour[key], key))
    return Overview(
        lag=readings.lag(),
        monitors=readings.monitors(),
        lost=readings.lost(),
        rejected=readings.rejected(),
        workers=sum(worker.standing == 'alive' for worker in reported),
        silent=silent(reported),
        failures=readings.failures(HOUR.since)[:ROWS],
        queues=[Queue(key, served[key], *readings.queued(key, NEWEST), hour[key]) for key in keys[:ROWS]],
        more_queues=max(len(keys) - ROWS, 0),
        scheduled=_line('scheduled', scheduled),
        failed=_line(FAILURE, failed),
    )


def _line(state: str, numbers: Counter[int]) -> Line:
    return Line(state, [numbers[minute] for minute in range(HOUR.bars)])
