"""Draw counts over time: each state of a queue is a row of bars."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..tracked.counts import Count
from .windows import Window

#: The height of a drawing, in its own units.
HEIGHT = 100


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

    @property
    def bars(self) -> list[int]:
        """The heights of its bars, of which the tallest is as high as the drawing. A single task can be seen."""
        return [-(-number * HEIGHT // max(self.most, 1)) for number in self.numbers]


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


def queues(counts: Iterable[Count], since: datetime, window: Window) -> list[Queue]:
    """Sort counts into queues and states.

    :param counts: the counts.
    :param since: the time at which the first bar begins.
    :param window: the window of the counts.
    :returns: the queues, the one with most tasks first.
    """
    numbers: dict[str | None, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * window.bars))
    for count in counts:
        numbers[count.queue][count.state][window.bar(count.start, since)] += count.tasks
    found = [Queue(name, [Line(*item) for item in sorted(states.items())]) for name, states in numbers.items()]
    return sorted(found, key=lambda queue: (-queue.total, queue.name or ''))
