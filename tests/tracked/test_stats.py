"""What SQLite cannot summarise is summarised as PostgreSQL does it."""

from __future__ import annotations

import pytest

from cadasta.workertoolbox.tracked import TrackedTasks
from rig.monitor.databases import TaskDatabase

from .rows import minutes, schedule, store


@pytest.mark.parametrize(
    ('seconds', 'half', 'most'),
    [([7], 7, 7), ([4, 2], 3, 3.9), ([2, 9, 4], 4, 8.5), ([*range(21)], 10, 19), ([*range(1, 11)], 5.5, 9.55)],
)
def test_how_long_tasks_waited_and_ran(tasks: TaskDatabase, seconds: list[int], half: float, most: float) -> None:
    for number in seconds:
        schedule(tasks, str(number), sent=minutes(0))
        started = number / 60
        store(tasks, str(number), minute=3 * started, started=minutes(started), retries=0, replaced=0)
    with TrackedTasks(tasks.url) as tracked:
        (found,) = tracked.stats(minutes(0))
    assert (found.count, found.failed, found.failed_percent) == (len(seconds), 0, 0)
    assert [found.waited_p50, found.waited_p95] == pytest.approx([half, most], abs=0.001)
    assert [found.ran_p50, found.ran_p95] == pytest.approx([2 * half, 2 * most], abs=0.001)


def test_which_tasks_are_summarised(tasks: TaskDatabase) -> None:
    for minute, status in enumerate(['SUCCESS', 'SUCCESS', 'FAILURE', 'STARTED', 'REVOKED']):
        schedule(tasks, status + str(minute), minute)
        store(tasks, status + str(minute), status, minute)
    schedule(tasks, 'queued', 9)
    schedule(tasks, 'other', 9, name='msg.send')
    with TrackedTasks(tasks.url) as tracked:
        found = [(one.name, one.count, one.failed, one.failed_percent) for one in tracked.stats(minutes(1))]
    assert found == [('export.project', 5, 1, 50), ('msg.send', 1, 0, None)]
