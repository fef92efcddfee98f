"""The standing of workers, by how far a monitor has read, in each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cadasta.workertoolbox import NotUsable, TrackedTasks
from cadasta.workertoolbox.database.tables import monitors, workers
from cadasta.workertoolbox.tracked.workers import SILENT_AFTER
from rig.monitor.databases import TaskDatabase

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=7)


def insert(tasks: TaskDatabase, name: str, last_seen: datetime, ended: datetime | None = None) -> None:
    row = {column.name: 0 for column in workers.columns}
    texts = {'boot': name, 'name': name, 'host': 'here', 'pool': 'solo', 'queues': ['a'], 'versions': {'celery': '5'}}
    times = {'first_seen': LONG_AGO, 'last_seen': last_seen, 'ended': ended}
    tasks.execute(workers.insert().values({**row, **texts, **times}))


def caught_up(tasks: TaskDatabase, *times: datetime | None) -> None:
    for number, time in enumerate(times):
        values = {'boot': str(number), 'host': '', 'pid': 1, 'version': ''}
        tasks.execute(monitors.insert().values(**values, first_seen=NOW, last_seen=NOW, caught_up=time))


def standings(tasks: TaskDatabase, since: datetime = NOW - timedelta(days=1)) -> dict[str, str]:
    with TrackedTasks(tasks.url) as tracked:
        return {worker.name: worker.standing for worker in tracked.workers(since)}


def test_standings(tasks: TaskDatabase) -> None:
    read = NOW - timedelta(minutes=10)
    insert(tasks, 'alive', read - timedelta(seconds=SILENT_AFTER - 1))
    insert(tasks, 'silent', read - timedelta(seconds=SILENT_AFTER + 1))
    insert(tasks, 'ended', read - timedelta(hours=1), ended=read - timedelta(hours=1))
    insert(tasks, 'old', LONG_AGO)
    # Whoever is away makes nobody silent, however long ago the last report is.
    assert set(standings(tasks).values()) == {'alive', 'ended'}
    caught_up(tasks, None, LONG_AGO)
    assert standings(tasks)['silent'] == 'alive'
    caught_up(tasks)
    tasks.execute(monitors.update().values(caught_up=read))
    assert standings(tasks) == {'alive': 'alive', 'silent': 'silent', 'ended': 'ended'}
    assert standings(tasks, LONG_AGO)['old'] == 'silent'


def test_what_is_known_of_a_worker(tasks: TaskDatabase) -> None:
    insert(tasks, 'alive', NOW)
    with TrackedTasks(tasks.url) as tracked:
        (worker,) = tracked.workers(LONG_AGO)
    assert (worker.queues, worker.versions, worker.first_seen, worker.last_seen) == (
        ['a'],
        {'celery': '5'},
        LONG_AGO,
        NOW,
    )


def test_tables_of_before(tasks: TaskDatabase) -> None:
    tasks.execute('DROP TABLE celery_worker')
    with TrackedTasks(tasks.url) as tracked, pytest.raises(NotUsable, match="no table 'celery_worker': run `celery"):
        tracked.workers(NOW)
