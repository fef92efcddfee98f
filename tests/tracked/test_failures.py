"""Failures, by the rows of tasks and results."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cadasta.workertoolbox.tracked import Filter, TrackedTasks
from rig.monitor.databases import TaskDatabase

from .rows import minutes, schedule, store


def error(kind: str, message: str) -> bytes:
    return json.dumps({'exc_type': kind, 'exc_message': [message], 'exc_module': 'builtins'}).encode()


@pytest.fixture
def tracked(tasks: TaskDatabase) -> Iterator[TrackedTasks]:
    for number, kind in enumerate(['KeyError', 'OSError', 'KeyError']):
        schedule(tasks, str(number), number)
        store(tasks, str(number), 'FAILURE', number, result=error(kind, f'parcel {number}'))
    schedule(tasks, 'other', 3, name='msg.send')
    store(tasks, 'other', 'FAILURE', 3, result=error('KeyError', 'x'))
    store(tasks, 'early', 'FAILURE', 4, result=error('KeyError', 'x'))
    schedule(tasks, 'never-ran', 5)
    store(tasks, 'never-ran', 'FAILURE', 5, result=error('KeyError', 'x'), runs=0)
    schedule(tasks, 'well', 5)
    store(tasks, 'well', minute=5)
    with TrackedTasks(tasks.url) as tracked:
        yield tracked


def test_which_failures_are_counted(tracked: TrackedTasks) -> None:
    found = tracked.failures(minutes(0))
    assert [(one.name, one.error, one.message, one.count, one.example) for one in found] == [
        ('export.project', 'KeyError', 'parcel #', 2, '2'),
        (None, 'KeyError', 'x', 1, 'early'),
        ('msg.send', 'KeyError', 'x', 1, 'other'),
        ('export.project', 'OSError', 'parcel #', 1, '1'),
    ]
    assert (found[0].first, found[0].last) == (minutes(0), minutes(2))
    # One that failed at that very time counts.
    assert sum(one.count for one in tracked.failures(minutes(2))) == 3


def test_by_one_thing_alone(tracked: TrackedTasks) -> None:
    by_task, by_error = (tracked.failures(minutes(0), by) for by in ('task', 'error'))
    assert [(one.name, one.error, one.message, one.count) for one in by_task] == [
        ('export.project', None, None, 3),
        (None, None, None, 1),
        ('msg.send', None, None, 1),
    ]
    assert [(one.name, one.error, one.message, one.count) for one in by_error] == [
        (None, 'KeyError', 'x', 2),
        (None, 'KeyError', 'parcel #', 2),
        (None, 'OSError', 'parcel #', 1),
    ]


def test_a_condition_leaves_out_results_without_tasks(tracked: TrackedTasks) -> None:
    assert [one.example for one in tracked.failures(minutes(0), where=Filter(name='export.*'))] == ['2', '1']
    assert [one.example for one in tracked.failures(minutes(0), where=Filter(name='*'))] == ['2', 'other', '1']
