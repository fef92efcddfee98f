"""The commands and the role of the how-to delete old tasks of the service, and keep those that it says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadasta.workertoolbox.database.pruning import Pruning, Retention
from cadasta.workertoolbox.database.upgrade import upgrade
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.filesystem import FilesystemBroker
from rig.servers.postgres import Database
from rig.servers.process import Processes

from .manual import Manual
from .service import Service
from .terminal import Terminal

PAGE = 'howto/retention'
PAGES = [PAGE]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FilesystemBroker]:
    broker = FilesystemBroker(tmp_path)
    yield broker
    broker.close()


def test_commands(manual: Manual, database: Database, broker: FilesystemBroker, processes: Processes) -> None:
    url = url_of(database)
    tasks = TaskDatabase(url)
    service = Service(processes, {**broker.environment, **database.environment, 'TOOLBOX_DATABASE': url})
    count, repeat, move = manual.blocks(PAGE, 'console')
    for block in (count, repeat):
        terminal = Terminal(processes, service.environment, service.directory)
        terminal.follow(block)
        if 'stays' in block.classes:
            terminal.interrupt()
    insert(tasks, 'quarter', 100)
    Terminal(processes, service.environment, service.directory).follow(move)
    assert not tasks.tasks()
    assert [row['task_id'] for row in tasks.execute('SELECT task_id FROM celery_task_history')] == ['quarter']


def insert(tasks: TaskDatabase, task_id: str, days: int) -> None:
    seen = datetime.now(UTC) - timedelta(days=days)
    tasks.execute(
        'INSERT INTO celery_task (task_id, name, retries, options, first_seen, last_seen) '
        "VALUES (:id, 'export.project', 0, '{}', :seen, :seen)",
        id=task_id,
        seen=seen,
    )
    tasks.execute(
        "INSERT INTO celery_taskmeta (id, task_id, status, date_done) VALUES (:days, :id, 'SUCCESS', :done)",
        days=days,
        id=task_id,
        done=seen.replace(tzinfo=None),
    )


def test_role(manual: Manual, database: Database) -> None:
    tasks = TaskDatabase(url_of(database))
    upgrade(tasks.url, janitor_role='janitor')
    retention = Retention(timedelta(days=90))
    try:
        with Pruning(tasks.url, archive='celery_task_history') as pruning:
            pruning.prune(retention)
        (grant,) = (block.text for block in manual.blocks(PAGE, 'postgresql'))
        database.execute(grant)
        database.execute(f'GRANT CONNECT ON DATABASE {database.name} TO janitor')
        database.execute("ALTER ROLE janitor PASSWORD 'correct-horse'")
        insert(tasks, 'quarter', 100)
        url = url_of(database, 'janitor', 'correct-horse')
        with Pruning(url, archive='celery_task_history') as pruning:
            assert pruning.count(retention) == pruning.prune(retention) == (1, 1, 0, 0, 0)
        assert tasks.count('celery_task_history') == 1
    finally:
        database.execute('DROP OWNED BY janitor')
        database.execute('DROP ROLE janitor')
