"""A reading counts what is on one side of each limit, and not on the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from cadasta.workertoolbox.database.tables import monitors, rejected
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.tracked import readings as module
from cadasta.workertoolbox.tracked.readings import Readings
from rig.monitor.databases import TaskDatabase

from .rows import minutes, schedule, store


@pytest.fixture
def readings(tasks: TaskDatabase) -> Iterator[Readings]:
    with Readings(tasks.url) as readings:
        yield readings


def test_a_task_that_ends_where_two_stretches_meet_is_in_the_first(tasks: TaskDatabase, readings: Readings) -> None:
    for minute in range(4):
        schedule(tasks, str(minute), minute, name=str(minute))
        store(tasks, str(minute), minute=minute)
    names = [[task.name for task in readings.ended(minutes(end - 1), minutes(end), 9)] for end in (1, 2, 3)]
    assert names == [['1'], ['2'], ['3']]


def test_the_names_of_the_newest_tasks(
    tasks: TaskDatabase, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, '_NEWEST', 3)
    for minute, name in enumerate(['a', 'c', 'b', 'd', 'b']):
        schedule(tasks, str(minute), minute, name=name)
    assert readings.recent_names() == ['b', 'd']


def test_the_newest_task_says_when_the_monitor_last_stored_one(tasks: TaskDatabase, readings: Readings) -> None:
    now = datetime.now(UTC)
    for age in (700, 5, 300):
        schedule(tasks, str(age), first_seen=now - timedelta(seconds=age), last_seen=now - timedelta(seconds=age))
    newest = readings.newest()
    assert newest is not None
    assert 5 <= newest < 300


def test_clocks_that_differ_make_no_age_below_zero(tasks: TaskDatabase, readings: Readings) -> None:
    times = dict.fromkeys(('first_seen', 'last_seen', 'caught_up'), minutes(0))
    tasks.execute(sa.insert(monitors).values(boot='m', host='h', pid=1, version='1', **times))
    schedule(tasks, 'a')
    assert (readings.lag(), readings.newest()) == (0, 0)
    assert readings.queued('export') == (1, 0)
    assert readings.queued('msg') == (0, 0)


def test_no_more_is_counted_than_needed(
    tasks: TaskDatabase, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, 'MOST', 2)
    for number in range(3):
        row = {'digest': str(number), 'reason': '', 'message': b'', 'first_seen': minutes(0), 'last_seen': minutes(0)}
        tasks.execute(sa.insert(rejected).values(row))
        schedule(tasks, str(number), number)
    assert readings.rejected() == 2
    assert readings.queued('export', 2) == (2, 0)
    store(tasks, '2')
    assert readings.queued('export', 2) == (1, 0)


def test_a_table_is_missing(tasks: TaskDatabase) -> None:
    tasks.execute('DROP TABLE celery_task_rejected')
    with pytest.raises(NotUsable, match="no table 'celery_task_rejected'"), Readings(tasks.url):
        raise AssertionError
