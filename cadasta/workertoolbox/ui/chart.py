"""Draw counts over time: each queue has a table, and each of its states a row of bars."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..tracked.counts import Count

#: The height of a drawing, in its own units.
HEIGHT = 100


class Window(NamedTuple):
    """A stretch of time that ends now.

    :param age: its length, as the filters of the list write it.
    :param bucket: the length of each bar.
    :param bars: the number of bars.
    """

    age: str
    bucket: timedelta
    bars: int

    @property
    def since(self) -> datetime:
        """The time at which its first bar begins. Bars begin at multiples of their length."""
        seconds = int(self.bucket.total_seconds())
        last = int(datetime.now(UTC).timestamp()) // seconds * seconds
        return datetime.fromtimestamp(last - (self.bars - 1) * seconds, UTC)


WINDOWS = {
    'hour': Window('1h', timedelta(minutes=1), 60),
    'day': Window('1d', timedelta(minutes=30), 48),
    'week': Window('7d', timedelta(hours=4), 42),
}


@dataclass(frozen=True)
class Line:
    """The tasks of a queue that are in one state.

    :param state: the state.
    :param numbers: for each bar, the number of tasks that were scheduled in its time.
    """

    state: str
    numbers: Sequence[int]

    @property
    def total(self) -> int:
        return sum(self.numbers)

    @property
    def most(self) -> int:
        return max(self.numbers)


@dataclass(frozen=True)
class Queue:
    """The tasks of a queue, or of none.

    :param name: its routing key; `None` where the tasks have none.
    :param lines: its states, by name.
    """

    name: str | None
    lines: Sequence[Line]

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def most(self) -> int:
        return max(line.most for line in self.lines)

    def bars(self, line: Line) -> list[int]:
        """Give the heights of a line's bars. Even a single task gets a bar that can be seen."""
        return [-(-number * HEIGHT // self.most) for number in line.numbers]


def queues(counts: Iterable[Count], since: datetime, window: Window) -> list[Queue]:
    """Sort counts into queues and states.

    :param counts: the counts.
    :param since: the time at which the first bar begins.
    :param window: the window of the counts.
    :returns: the queues, the one with most tasks first.
    """
    numbers: dict[str | None, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * window.bars))
    for count in counts:
        # A task that was scheduled after the last bar began counts there, even if the clock has gone on since.
        bar = min((count.start - since) // window.bucket, window.bars - 1)
        numbers[count.queue][count.state][bar] += count.tasks
    found = [Queue(name, [Line(*item) for item in sorted(states.items())]) for name, states in numbers.items()]
    return sorted(found, key=lambda queue: (-queue.total, queue.name or ''))
