"""Count the tasks that end while the page runs, by name."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from ..metrics.distribution import Distribution
from ..tracked.ended import EndedTask
from ..tracked.readings import Readings

#: So many names of tasks have numbers of their own. Strangers may send any names.
NAMES = 100
#: No name that has numbers of its own is longer.
LONGEST = 200
#: A result is counted as soon as it is so old. One that a worker stores later, after an outage, is not counted.
SETTLED = timedelta(seconds=30)
#: So many tasks are read at once.
MOST = 20_000
#: The name of all tasks that have no numbers of their own.
OTHER = 'other'

_STANDINGS = ('succeeded', 'failed', 'cancelled', 'expired')
_SHORTEST, _FIRST = timedelta(seconds=1), timedelta(minutes=1)
_BOUNDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600)


class EndedTasks:
    """Counts tasks by name and standing, and how long they waited and ran.

    It reads only what ended since it last looked. So it begins with 0 when the page starts, as Prometheus expects.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: datetime | None = None
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, tuple[Distribution, Distribution]] = {}

    def look(self, readings: Readings) -> None:
        """Count what has ended, unless somebody else is at it.

        :param readings: the database.
        :raises sqlalchemy.exc.DBAPIError: where it cannot be read.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._read(readings)
            finally:
                self._lock.release()

    def metrics(self) -> Iterator[Metric]:
        """Make the metrics."""
        ended = CounterMetricFamily(
            'toolbox_tasks_ended', 'Tasks that ended since the page started.', labels=['name', 'standing']
        )
        waited = HistogramMetricFamily(
            'toolbox_task_waited_seconds', 'Seconds from when these were sent until they started.', labels=['name']
        )
        ran = HistogramMetricFamily(
            'toolbox_task_ran_seconds', 'Seconds for which those of them ran that succeeded or failed.', labels=['name']
        )
        for name, both in sorted(self._seconds.copy().items()):
            for standing in _STANDINGS:
                ended.add_metric([name, standing], self._numbers[name, standing])
            for family, seconds in zip((waited, ran), both, strict=True):
                family.add_metric([name], seconds.buckets, seconds.total)
        return iter((ended, waited, ran))

    def _read(self, readings: Readings) -> None:
        until = readings.now() - SETTLED
        if self._counted is None:
            for name in readings.recent_names():
                self._label(name)
            self._counted = until
        span, room = _FIRST, MOST
        while self._counted < until and room > 0:
            end = min(self._counted + span, until)
            tasks = readings.ended(self._counted, end, MOST)
            if len(tasks) == MOST and span > _SHORTEST:
                span = max(span / 8, _SHORTEST)
                continue
            self._add(tasks)
            self._counted = end
            room -= len(tasks)
            span *= 2

    def _add(self, tasks: Sequence[EndedTask]) -> None:
        for task in tasks:
            label = self._label(task.name)
            self._numbers[label, task.standing] += 1
            for seconds, value in zip(self._seconds[label], (task.waited, task.ran), strict=True):
                if value is not None:
                    seconds.add(value)

    def _label(self, name: str | None) -> str:
        if name is None or len(name) > LONGEST or (len(self._seconds) >= NAMES and name not in self._seconds):
            name = OTHER
        self._seconds.setdefault(name, (Distribution(_BOUNDS), Distribution(_BOUNDS)))
        return name
