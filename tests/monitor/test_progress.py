"""When a monitor says how it gets on, by a clock of the test's own."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.monitor import presence, progress
from cadasta.workertoolbox.monitor.presence import EVERY, Lookout
from cadasta.workertoolbox.monitor.progress import INTERVAL, Progress
from cadasta.workertoolbox.monitor.store import Stored


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (presence, progress):
        monkeypatch.setattr(module, 'time', clock)
    return clock


def test_rate_and_lag_are_logged_at_an_interval(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = Progress(None)
    made.begin()
    for stored in (Stored(40, 1), Stored(20, 2)):
        made.add(stored)
    clock.now += INTERVAL - 1
    made.report(lambda: pytest.fail('It is not asked before it is time'))
    clock.now += 1
    made.report(lambda: 7)
    made.add(Stored(30, 0))
    made.report(lambda: pytest.fail('It was just told'))
    clock.now += 60
    made.report(lambda: 0)
    made.end()
    assert caplog.messages == [
        'Ready: storing what the platform queue holds',
        '60 tasks in 30 s (2.0/s), 3 messages rejected, 7 waiting in the platform queue',
        '30 tasks in 60 s (0.5/s), 0 messages rejected, 0 waiting in the platform queue',
    ]


def test_the_ready_file_is_touched_each_second(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / 'ready'
    made = Progress(file)

    def is_touched() -> bool:
        file.unlink(missing_ok=True)
        made.report(lambda: 0)
        return file.exists()

    made.begin()
    assert file.exists()
    assert not is_touched()
    clock.now += 1
    assert [is_touched(), is_touched()] == [True, False]
    # The database was away in between.
    made.end()
    made.end()
    made.begin()
    assert file.exists()
    made.end()
    assert not file.exists()


def test_a_ready_file_in_no_directory(tmp_path: Path) -> None:
    with pytest.raises(NotUsable, match='The ready file cannot be written: '):
        Progress(tmp_path / 'no' / 'ready').begin()


class Queue:
    """A source and a writer, which note what they are asked."""

    has_mark = True

    def __init__(self) -> None:
        self.told: list[float | str | None] = []

    def mark(self) -> None:
        self.told.append('mark')

    def has_backlog(self) -> bool:
        return self.has_mark

    def tell(self, caught_up: float | None, is_end: bool = False) -> None:
        self.told.append('end' if is_end else caught_up)


@pytest.mark.parametrize('once', [True, False])
def test_how_far_the_monitor_has_read(clock: Clock, once: bool) -> None:
    queue = Queue()
    lookout = Lookout(queue, queue, once)  # type: ignore[arg-type]  # a stand-in for source and store

    def told(seconds: float, has_mark: bool = True, is_empty: bool = False) -> list[float | str | None]:
        clock.now += seconds
        queue.has_mark = has_mark
        queue.told.clear()
        lookout.look(is_empty)
        return queue.told.copy()

    assert queue.told == [None]
    assert told(EVERY - 1) == []
    # It has not found the mark yet. It says that it lives.
    assert told(1) == [None]
    assert told(3) == []
    # The messages that were there when it began are stored. It began so long ago.
    assert told(1, has_mark=False) == [EVERY + 4]
    assert told(EVERY - 1, has_mark=False) == []
    assert told(1, has_mark=False) == ([None] if once else ['mark'])
    if not once:
        assert [told(1), told(1)] == [[None], []]
        assert told(1, is_empty=True) == [3]
        assert told(EVERY - 1, is_empty=True) == []
        assert told(1, is_empty=True) == ['mark']
        assert told(EVERY) == [None]
    queue.told.clear()
    lookout.end()
    assert queue.told == ['end']
