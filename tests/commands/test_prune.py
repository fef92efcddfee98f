"""`celery -A project toolbox prune`: beside workers and monitors at work, again and again, with a role of its own."""

from __future__ import annotations

import re
import signal
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cadasta.workertoolbox.database import pruning
from cadasta.workertoolbox.database.pruning import Pruning, Retention
from cadasta.workertoolbox.database.tables import monitors, workers
from cadasta.workertoolbox.database.upgrade import upgrade
from rig.monitor.databases import TaskDatabase, url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.memory import MemoryBroker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until

from .ended import app_of
from .running import run

NOW = timedelta()


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        ([], "Missing option '--older-than'"),
        (['--older-than', 'soon'], "'soon' is no age"),
        (['--older-than', '2000y'], "'2000y' is no age"),
        (['--older-than', '1y', '--every', '1h'], '--every deletes without asking: give --yes with it.'),
        (['--older-than', '1y', '--yes', '--archive', 'celery_task'], "The table celery_task has no column 'status'"),
        (['--older-than', '1y', '--yes', '--database', 'sqlite://'], "The database has no view 'celery_task_status'"),
    ],
)
def test_errors(tmp_path: Path, arguments: list[str], error: str) -> None:
    tasks = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    result = run(app_of(MemoryBroker()), 'prune', *arguments, TOOLBOX_DATABASE=tasks.url)
    assert result.exit_code
    assert error in result.output


TIMES = ('first_seen', 'last_seen', 'caught_up', 'ended')
GROUPS = {'postgresql': "nextval('taskset_id_sequence')", 'sqlite': 'NULL'}


def test_results_of_no_task_groups_and_rejected_messages(tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, 'PORTION', 2)
    now = datetime.now(UTC)
    number = GROUPS[tasks.engine.dialect.name]
    for age in range(5):
        at = now - timedelta(days=age)
        tasks.execute(
            f'INSERT INTO celery_tasksetmeta (id, taskset_id, date_done) VALUES ({number}, :id, :at)',
            id=str(age),
            at=at.replace(tzinfo=None),
        )
        tasks.execute(
            "INSERT INTO celery_taskmeta (id, task_id, status, date_done) VALUES (:number, :id, 'SUCCESS', :at)",
            number=age,
            id=str(age),
            at=at.replace(tzinfo=None),
        )
        tasks.execute(
            "INSERT INTO celery_task_rejected VALUES (:id, '', NULL, NULL, NULL, '', :at, :at)", id=str(age), at=at
        )
        for table in (workers, monitors):
            row = {column.name: '0' if isinstance(column.type, sa.Text) else 0 for column in table.columns}
            tasks.execute(
                table.insert().values({**row, 'boot': str(age), **{name: at for name in row if name in TIMES}})
            )
    with Pruning(tasks.url) as connection:
        retention = Retention(timedelta(hours=36))
        assert connection.count(retention) == connection.prune(retention) == (0, 3, 3, 3, 6)
        assert connection.prune(retention) == (0, 0, 0, 0, 0)
    assert [row['digest'] for row in tasks.rejected()] == ['1', '0']
    assert tasks.count('celery_tasksetmeta') == tasks.count('celery_taskmeta') == 2


def ids(tasks: TaskDatabase, table: str = 'celery_task') -> set[str]:
    return {row['task_id'] for row in tasks.execute(f'SELECT task_id FROM {table}')}


@pytest.mark.slow
@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_beside_a_worker_and_a_monitor(
    broker: Broker, postgresql: TaskDatabase, processes: Processes, tmp_path: Path
) -> None:
    toolbox = Toolbox(tmp_path, processes, broker, postgresql.url)
    toolbox.environment['CELERY_RESULT_BACKEND'] = f'db+{postgresql.url}'
    prune = toolbox.start('prune', '--older-than', '0s', '--every', '1s', '--yes')
    monitor = toolbox.monitor()
    app = app_of(broker)
    waiting = app.send_task('export.project', (0,), countdown=3600).id
    for number in range(50):
        app.send_task('export.project', (number,))
    # A result that is pruned before its task is stored leaves a task without a result.
    wait_until(lambda: postgresql.count() == 51, 'the tasks to be stored')
    worker = processes.start(
        [sys.executable, '-m', 'celery', '-A', 'project', 'worker', '-P', 'solo', '-Q', 'export', '-l', 'INFO'],
        toolbox.environment,
    )
    wait_until(lambda: worker.log.count(' succeeded in ') == 50, 'the tasks to run')
    wait_until(lambda: ids(postgresql) == {waiting} and not ids(postgresql, 'celery_taskmeta'), 'their end')
    wait_until(lambda: not broker.count(PLATFORM_QUEUE), 'the queue to be empty')
    for log in (monitor.log, worker.log):
        assert not re.search('ERROR|away', log)

    # It goes on when the database comes back.
    name = postgresql.engine.url.database
    server = sa.create_engine(postgresql.engine.url.set(database='postgres'), isolation_level='AUTOCOMMIT')
    with closing(server.connect()) as connection:
        connection.execute(sa.text(f'ALTER DATABASE {name} ALLOW_CONNECTIONS false'))
        prune.wait_for('The database is away, next try in 1.0 s: ')
        connection.execute(sa.text(f'ALTER DATABASE {name} ALLOW_CONNECTIONS true'))
    postgresql.execute("INSERT INTO celery_task_rejected VALUES ('old', '', '', '', '', '', now(), now())")
    wait_until(lambda: not postgresql.rejected(), 'the next turn')
    prune.popen.send_signal(signal.SIGTERM)
    assert prune.wait() == 0
    assert 'Traceback' not in prune.log


def test_rows_that_somebody_holds_stay_until_the_next_time(postgresql: TaskDatabase) -> None:
    insert(postgresql, 'a', 'b', 'c')
    with Pruning(postgresql.url) as connection:
        with postgresql.engine.connect() as other:
            other.execute(sa.text("SELECT 1 FROM celery_task WHERE task_id = 'a' FOR UPDATE"))
            other.execute(sa.text("SELECT 1 FROM celery_taskmeta WHERE task_id = 'b' FOR UPDATE"))
            assert connection.prune(Retention(NOW)) == (1, 1, 0, 0, 0)
        assert ids(postgresql) == ids(postgresql, 'celery_taskmeta') == {'a', 'b'}
        assert connection.prune(Retention(NOW)) == (2, 2, 0, 0, 0)


def insert(tasks: TaskDatabase, *ids: str) -> None:
    """Tasks that failed two days ago."""
    for number, task_id in enumerate(ids):
        tasks.execute(
            'INSERT INTO celery_task (task_id, name, retries, options, first_seen, last_seen) '
            "VALUES (:id, 'export.project', 0, '{}', :at, :at)",
            id=task_id,
            at=datetime.now(UTC) - timedelta(days=2),
        )
        tasks.execute(
            'INSERT INTO celery_taskmeta (id, task_id, status, date_done) VALUES (:number, :id, :status, :at)',
            number=number,
            id=task_id,
            status='FAILURE',
            at=datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2),
        )


def test_a_task_that_is_sent_again_meanwhile_is_kept(postgresql: TaskDatabase) -> None:
    insert(postgresql, 'a', 'b')

    def resend(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        if 'FOR UPDATE' in statement and not sent.is_set():
            sent.set()
            postgresql.execute("UPDATE celery_taskmeta SET status = 'PENDING', date_done = NULL WHERE task_id = 'a'")

    sent = threading.Event()
    with Pruning(postgresql.url) as connection:
        sa.event.listen(connection._engine, 'before_cursor_execute', resend)
        assert connection.prune(Retention(NOW)) == (1, 1, 0, 0, 0)
    assert sent.is_set()
    assert postgresql.tasks().keys() == {'a'}


def test_role(database: Database) -> None:
    tasks = TaskDatabase(url_of(database))
    insert(tasks, 'a')
    app = app_of(MemoryBroker())
    url = url_of(database, database.role, database.password)
    refused = run(app, 'prune', '--older-than', '1d', '--yes', TOOLBOX_DATABASE=url)
    assert (refused.exit_code, 'The database refuses: permission denied' in refused.output) == (1, True)
    upgrade(tasks.url, janitor_role=database.role)
    assert run(app, 'prune', '--older-than', '1d', TOOLBOX_DATABASE=url).exit_code == 0
    done = run(app, 'prune', '--older-than', '1d', '--yes', TOOLBOX_DATABASE=url)
    assert done.output == 'tasks\t1\nresults\t1\ngroups\t0\nrejected\t0\nworkers\t0\n'
    assert not tasks.tasks()
