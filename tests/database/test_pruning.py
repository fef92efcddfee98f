"""Pruning finds the rows that are old, on SQLite; `tests/commands/test_prune.py` prunes beside monitors and workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cadasta.workertoolbox.database import pruning
from cadasta.workertoolbox.database.pruning import Pruning, Retention
from cadasta.workertoolbox.database.tables import result_tables
from cadasta.workertoolbox.errors import NotUsable
from rig.monitor.databases import TaskDatabase

from ..tracked.rows import schedule

DAY = timedelta(days=1)


@pytest.fixture
def tasks(tmp_path: Path) -> TaskDatabase:
    return TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')


def at(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def insert(
    tasks: TaskDatabase, task_id: str, first: float | None, last: float = 0, state: str = '', done: float | None = None
) -> None:
    """Puts a task into the tables, and its result; the times are days ago."""
    if first is not None:
        schedule(tasks, task_id, first_seen=at(first), last_seen=at(last))
    if state:
        table, _ = result_tables({}, {})
        (row,) = tasks.execute('SELECT count(*) AS n FROM celery_taskmeta')
        values: dict[str, Any] = {'id': row['n'] + 1, 'task_id': task_id, 'status': state}
        tasks.execute(table.insert().values(values | {'date_done': done and at(done).replace(tzinfo=None)}))


def kept(tasks: TaskDatabase) -> set[str]:
    return {
        row['task_id']
        for table in ('celery_task', 'celery_taskmeta')
        for row in tasks.execute(f'SELECT task_id FROM {table}')
    }


def test_a_task_is_old_if_its_last_message_and_its_result_are(
    tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, 'PORTION', 2)
    insert(tasks, 'old', 9, 9, 'SUCCESS', 9)
    insert(tasks, 'failed', 9, 9, 'FAILURE', 9)
    insert(tasks, 'failed long ago', 30, 30, 'FAILURE', 30)
    insert(tasks, 'ended lately', 9, 9, 'SUCCESS', 1)
    insert(tasks, 'sent again lately', 9, 1, 'SUCCESS', 9)
    insert(tasks, 'young', 1, 1, 'SUCCESS', 1)
    insert(tasks, 'queued', 9, 9)
    insert(tasks, 'runs', 9, 9, 'STARTED')
    insert(tasks, 'retries', 9, 9, 'RETRY', 9)
    insert(tasks, 'untracked', None, 0, 'SUCCESS', 9)
    insert(tasks, 'untracked and young', None, 0, 'SUCCESS', 1)
    insert(tasks, 'untracked and failed', None, 0, 'FAILURE', 9)
    everything = kept(tasks)
    with Pruning(tasks.url) as connection:
        retention = Retention(7 * DAY, failures=20 * DAY)
        assert connection.count(retention) == (2, 3, 0, 0, 0)
        assert kept(tasks) == everything
        assert connection.prune(retention) == (2, 3, 0, 0, 0)
        assert kept(tasks) == everything - {'old', 'failed long ago', 'untracked'}
        # A failure is kept as long as other tasks, if nobody says for how long.
        assert connection.count(Retention(7 * DAY)) == connection.prune(Retention(7 * DAY)) == (1, 2, 0, 0, 0)
        unfinished = Retention(7 * DAY, failures=2 * DAY, unfinished=True)
        assert connection.count(unfinished) == connection.prune(unfinished) == (3, 2, 0, 0, 0)
    assert kept(tasks) == {'ended lately', 'sent again lately', 'young', 'untracked and young'}


@pytest.mark.parametrize('portion', [1, 3, 100])
def test_many_at_the_same_time(tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch, portion: int) -> None:
    """No page begins where the one before began."""
    monkeypatch.setattr(pruning, 'PORTION', portion)
    pauses: list[float] = []
    monkeypatch.setattr(pruning.time, 'sleep', pauses.append)
    for number in range(6):
        insert(tasks, f'{number}', 9, 9 if number % 2 else 1, 'SUCCESS', 9)
    tasks.execute('UPDATE celery_task SET first_seen = (SELECT max(first_seen) FROM celery_task)')
    with Pruning(tasks.url) as connection:
        assert connection.prune(Retention(7 * DAY)) == (3, 3, 0, 0, 0)
    assert kept(tasks) == {'0', '2', '4'}
    assert len(pauses) == {1: 6, 3: 2, 100: 0}[portion]
    assert all(0 <= pause < 60 for pause in pauses)


def test_results_that_are_kept_do_not_hold_up_the_others(tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """They fill the first page, and the next one begins behind them."""
    monkeypatch.setattr(pruning, 'PORTION', 2)
    for task_id, state in (('a', 'FAILURE'), ('b', 'FAILURE'), ('c', 'SUCCESS')):
        insert(tasks, task_id, None, 0, state, 9)
    with Pruning(tasks.url) as connection:
        assert connection.prune(Retention(7 * DAY, failures=20 * DAY)) == (0, 1, 0, 0, 0)
    assert kept(tasks) == {'a', 'b'}


def test_the_archive_gets_what_is_deleted(tasks: TaskDatabase) -> None:
    insert(tasks, 'old', 9, 9, 'SUCCESS', 9)
    insert(tasks, 'untracked', None, 0, 'FAILURE', 9)
    insert(tasks, 'young', 1)
    for number in range(2):
        with Pruning(tasks.url, archive='old:tasks') as connection:
            assert connection.count(Retention(7 * DAY)) == (1 - number, 2 - number, 0, 0, 0)
            assert connection.prune(Retention(7 * DAY)) == (1 - number, 2 - number, 0, 0, 0)
            insert(tasks, 'untracked too', None, 0, 'FAILURE', 9)
    archived = {row['task_id']: row for row in tasks.execute(sa.text('SELECT * FROM "old\\:tasks"'))}
    assert archived.keys() == {'old', 'untracked', 'untracked too'}
    assert (archived['old']['name'], archived['untracked']['status']) == ('export.project', 'FAILURE')
    assert archived['old']['archived'][:10] == f'{at(0):%Y-%m-%d}'


def test_an_archive_that_lacks_a_column(tasks: TaskDatabase) -> None:
    tasks.execute('CREATE TABLE mine (task_id TEXT)')
    with (
        Pruning(tasks.url, archive='mine') as connection,
        pytest.raises(NotUsable, match="The table mine has no column 'status': add it, or name another table"),
    ):
        connection.prune(Retention(DAY))


def test_tables_with_other_names(tasks: TaskDatabase) -> None:
    tasks.execute('ALTER TABLE celery_tasksetmeta RENAME TO mygroups')
    tasks.execute("INSERT INTO mygroups (taskset_id, date_done) VALUES ('1', '2020-01-01 00:00:00.000000')")
    with Pruning(tasks.url, {'group': 'mygroups'}) as connection:
        assert connection.prune(Retention(DAY)) == (0, 0, 1, 0, 0)


@pytest.mark.parametrize('name', ['celery_worker', 'celery_monitor'])
def test_tables_of_version_1_0(tasks: TaskDatabase, name: str) -> None:
    """It says so before it has deleted anything."""
    tasks.execute(f'DROP TABLE {name}')
    with pytest.raises(NotUsable, match=f"The database has no table '{name}': run"):
        Pruning(tasks.url).__enter__()
