"""How long a worker waits before it connects once more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import bootsteps

from cadasta.workertoolbox.transports import restarts


class Clock:
    """A clock that only sleep moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(restarts, 'time', clock)
    return clock


def consumer(state: Any = bootsteps.RUN) -> Any:
    return SimpleNamespace(blueprint=SimpleNamespace(state=state), hub=None)


def pauses(step: restarts.Pause, clock: Clock, lasted: list[float | None]) -> list[int]:
    """Gives the waits of a worker after connections that have lasted so long; `None` was never made."""
    found = []
    for seconds in lasted:
        if seconds is not None:
            step.start(consumer())
            clock.now += seconds
        clock.slept = 0
        step.stop(consumer())
        found.append(round(clock.slept))
    return found


def test_it_waits_twice_as_long_each_time(clock: Clock) -> None:
    step = restarts.Pause(consumer())
    assert pauses(step, clock, [1, 1, None, 1, 29, 1, 1, 1]) == [0, 1, 2, 4, 8, 16, 30, 30]


def test_a_connection_that_has_lasted_is_made_again_at_once(clock: Clock) -> None:
    step = restarts.Pause(consumer())
    assert pauses(step, clock, [1, 1, 1, 30, 1, 1]) == [0, 1, 2, 0, 1, 2]


def test_a_worker_that_ends_does_not_wait(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    step = restarts.Pause(consumer())
    pauses(step, clock, [1, 1])
    clock.slept = 0
    step.stop(consumer(bootsteps.CLOSE))
    assert clock.slept == 0

    def end() -> None:
        raise SystemExit

    monkeypatch.setattr(restarts, 'end_if_told', end)
    with pytest.raises(SystemExit):
        step.stop(consumer())
    assert clock.slept == 0
