"""A list that follows shows what is new between two moments, and looks as often as it should."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import count
from types import SimpleNamespace

import pytest
from rich.console import Console

from cadasta.workertoolbox.terminal import following
from cadasta.workertoolbox.terminal.tasks import Screen
from cadasta.workertoolbox.tracked import Filter, TrackedTasks
from cadasta.workertoolbox.tracked.extent import BRIEF
from rig.monitor.databases import TaskDatabase

from ..monitor.conftest import fresh_connections
from ..tracked.rows import minutes, schedule, schedule_all, store

__all__ = ['fresh_connections']


@pytest.fixture
def tracked(tasks: TaskDatabase) -> Iterator[TrackedTasks]:
    with TrackedTasks(tasks.url) as tracked:
        yield tracked


def new(changes: following.Changes) -> list[str]:
    return [task.task_id for task in changes.next()]


def test_changes_of_more_tasks_than_a_page(
    tasks: TaskDatabase, tracked: TrackedTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, '_WATCHED', 3)
    changes = following.Changes(tracked, Filter(newer_than=minutes(-1)), 2)
    assert changes.first() == changes.next() == []
    for number in range(7):
        schedule(tasks, str(number), number)
    assert new(changes) == [str(number) for number in range(7)]
    store(tasks, '5')
    assert new(changes) == ['5']
    assert new(changes) == []


def test_what_was_there_is_new_once_it_changes(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    for number in range(4):
        schedule(tasks, str(number), number)
    changes = following.Changes(tracked, Filter(), 3)
    assert [task.task_id for task in changes.first()] == ['1', '2', '3']
    assert new(changes) == []
    store(tasks, '0', 'STARTED')
    assert new(changes) == ['0']
    assert new(changes) == []


def test_a_result_without_its_task_comes_first(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    changes = following.Changes(tracked, Filter(), 3)
    schedule(tasks, 'a', 1)
    store(tasks, 'early')
    assert new(changes) == ['early', 'a']


def test_a_task_that_meets_the_conditions_later_is_new(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    changes = following.Changes(tracked, Filter(state='FAILURE'), 3)
    assert changes.first() == []
    schedule(tasks, 'waits', 1)
    assert new(changes) == []
    schedule(tasks, 'failed', 9)
    store(tasks, 'failed', 'FAILURE')
    assert new(changes) == ['failed']
    store(tasks, 'waits', 'FAILURE')
    assert new(changes) == ['waits']


def test_a_task_that_another_monitor_stores_late(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    changes = following.Changes(tracked, Filter(), 3)
    schedule(tasks, 'seen', 5)
    assert [*changes.first(), *changes.next()] == [tracked.get('seen', BRIEF)]
    schedule(tasks, 'late', 4.6)
    assert new(changes) == ['late']


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Lets each look take so many seconds, and somebody press Ctrl-C after some pauses. Gives the pauses."""

    def prepare(took: float, *between: Callable[[], None]) -> list[float]:
        paused: list[float] = []

        def sleep(seconds: float) -> None:
            paused.append(seconds)
            if len(paused) > len(between):
                raise KeyboardInterrupt
            between[len(paused) - 1]()

        monkeypatch.setattr(following, 'time', SimpleNamespace(monotonic=count(0, took).__next__, sleep=sleep))
        return paused

    return prepare


@pytest.mark.parametrize(('took', 'pause'), [(0.125, 1), (2, 8)])
def test_each_change_is_shown_and_a_slow_database_has_longer_pauses(
    tasks: TaskDatabase, tracked: TrackedTasks, pauses: Callable[..., list[float]], took: float, pause: float
) -> None:
    schedule(tasks, 'old', 0)
    shown: list[str] = []
    paused = pauses(took, lambda: schedule(tasks, 'new', 1), lambda: store(tasks, 'old'))
    with pytest.raises(KeyboardInterrupt):
        following.appended(tracked, lambda task: shown.append(task.task_id), Filter(), 9, BRIEF)
    assert (shown, paused) == (['old', 'new', 'old'], [pause] * 3)


@pytest.mark.parametrize(('height', 'limit', 'rows'), [(9, 20, 7), (9, 3, 3), (2, 20, 1)])
def test_a_list_that_fits_the_terminal_is_kept_up_to_date(
    tasks: TaskDatabase,
    tracked: TrackedTasks,
    pauses: Callable[..., list[float]],
    height: int,
    limit: int,
    rows: int,
) -> None:
    schedule_all(tasks, [{'task_id': f'task{number:02}'} for number in range(20)])
    output = StringIO()
    console = Console(file=output, width=80, height=height, force_terminal=True)
    seen: list[str] = []

    def look() -> None:
        seen.append(output.getvalue())
        schedule(tasks, 'task20', 1)

    paused = pauses(1, look)
    with pytest.raises(KeyboardInterrupt):
        following.live(tracked, Screen(console), Filter(), limit)
    assert re.findall(r'task\d\d', seen[0]) == [f'task{number:02}' for number in range(19, 19 - rows, -1)]
    assert 'task20' in output.getvalue()
    assert paused == [4, 4]
