"""Whether messages pile up, by the lengths that a broker tells one after the other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cadasta.workertoolbox.check import platform_queue
from cadasta.workertoolbox.check.platform_queue import Depth, watch

START = 'Start the task monitor'
SPEED_UP = 'More is sent than is stored'


class Clock:
    """Stands still, but for the pauses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(platform_queue, 'time', SimpleNamespace(monotonic=lambda: clock.now, sleep=clock.sleep))
    return clock


@pytest.mark.parametrize(
    ('depths', 'note'),
    [
        ([Depth(0)], 'waiting messages: 0'),
        ([Depth(7, received=1)], 'waiting messages: 7'),
        ([Depth(7, 1), Depth(7, 1), Depth(6, 1)], 'waiting messages: 6, consumers: 1'),
        ([Depth(7), Depth(8), Depth(8, received=1)], 'waiting messages: 8'),
        # Somebody deletes the queue, and makes it anew.
        ([Depth(7), None, Depth(0)], 'waiting messages: 0'),
    ],
)
def test_a_queue_that_somebody_reads(clock: Clock, depths: list[Depth | None], note: str) -> None:
    left = iter(depths)
    outcome = watch(lambda: next(left))
    assert (outcome.problems, outcome.note, [*left]) == ((), note, [])
    assert clock.pauses == [0.25] * (len(depths) - 1)


@pytest.mark.parametrize(('consumers', 'change'), [(None, START), (2, SPEED_UP)])
def test_a_queue_that_does_not_become_shorter(clock: Clock, consumers: int | None, change: str) -> None:
    (problem,) = watch(lambda: Depth(7, consumers)).problems
    depth = Depth(7, consumers)
    assert problem.seen == f'{depth}; 5.0 s later, {depth}'
    assert problem.change.startswith(change)
    assert sum(clock.pauses) == 5


def test_nobody_has_to_be_waited_for(clock: Clock) -> None:
    assert watch(lambda: None).skipped == 'there is no platform queue'
    (problem,) = watch(lambda: Depth(0, consumers=0)).problems
    assert problem.seen.startswith('nobody consumes it')
    assert problem.change.startswith(START)
    assert clock.pauses == []
