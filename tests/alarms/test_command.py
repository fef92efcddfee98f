"""`celery toolbox check --platform`, with real monitors, brokers and databases, and without them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from celery import Celery

from cadasta.workertoolbox.alarms import judging
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor.loop import Monitor
from rig.monitor.databases import TaskDatabase
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Processes, free_port, wait_until

from ..commands.ended import app_of
from ..commands.running import run
from ..monitor.conftest import fresh_connections

__all__ = ['fresh_connections']


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, 'PAUSES', (0.1, 0.1))


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_a_monitor_that_hangs_with_all_messages_in_its_hands(
    broker: Broker, postgresql: TaskDatabase, processes: Processes, tmp_path: Path
) -> None:
    monitor = Toolbox(tmp_path, processes, broker, postgresql.url).monitor('--batch', '42')
    caught_up = 'SELECT 1 FROM celery_monitor WHERE caught_up IS NOT NULL'
    wait_until(lambda: postgresql.execute(caught_up), 'the monitor to have read to the end')
    os.kill(monitor.popen.pid, signal.SIGSTOP)
    app = app_of(broker)
    for _ in range(126):
        app.send_task('export.project')
    wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the monitor to get what it holds')
    # RabbitMQ counts no message, and a consumer.
    postgresql.execute("UPDATE celery_monitor SET caught_up = caught_up - interval '700 seconds'")
    result = run(app, 'check', '--platform', TOOLBOX_DATABASE=postgresql.url)
    assert result.exit_code == 2
    assert 'no monitor has read the platform queue to its end for 11 min' in result.stdout
    os.kill(monitor.popen.pid, signal.SIGCONT)


def test_a_monitor_that_reads_another_queue(tmp_path: Path) -> None:
    broker = FilesystemBroker(tmp_path)
    database = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    app, other = app_of(broker), app_of(broker, PLATFORM_QUEUE_NAME='another')
    app.send_task('export.project')
    wait_until(lambda: broker.count(PLATFORM_QUEUE) == 1, 'the message')
    Monitor(app, database.url, once=True).run()
    for column in ('first_seen', 'last_seen'):
        database.execute(f"UPDATE celery_task SET {column} = datetime('now', '-700 seconds')")
    for _ in range(20):
        app.send_task('export.project')
    wait_until(lambda: broker.count(PLATFORM_QUEUE) == 20, 'the messages')
    database.execute('DELETE FROM celery_monitor')
    Monitor(other, database.url, once=True).run()
    result = run(app, 'check', '--platform', '--json', TOOLBOX_DATABASE=database.url)
    document = json.loads(result.stdout)
    assert (result.exit_code, document['state'], document['numbers']['platform queue']) == (2, 'CRITICAL', 20)
    assert document['problems'][0]['text'].startswith('20 messages in the platform queue, and nothing was stored for')
    broker.close()


@pytest.mark.process
@pytest.mark.parametrize(
    ('database', 'broker_url', 'code', 'text'),
    [
        ('postgresql://u:hush@127.0.0.1:{port}/x', 'memory://', 2, 'CRITICAL: The database cannot be reached: '),
        ('sqlite:///{path}/empty.db', 'memory://', 3, "UNKNOWN: The database has no view 'celery_task_scheduled'"),
        ('sqlite:///{path}/tasks.db', 'amqp://u:hush@127.0.0.1:{port}//', 2, 'CRITICAL: The broker cannot be reached'),
        (
            'sqlite:///{path}/tasks.db',
            'memory://',
            3,
            'UNKNOWN: no monitor of this version has ever read the platform',
        ),
        (None, 'memory://', 3, "UNKNOWN: The app's result_backend is no database: give --database or set TOOLBOX_"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, database: str | None, broker_url: str, code: int, text: str) -> None:
    TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    port = free_port()
    app = Celery('alarms', set_as_current=False)
    app.config_from_object(Config(broker_url=broker_url.format(port=port), result_backend='rpc://'))
    environment = {'TOOLBOX_DATABASE': database.format(port=port, path=tmp_path)} if database else {}
    result = run(app, 'check', '--platform', **environment)
    assert (result.exit_code, result.stdout[: len(text)]) == (code, text)
    assert result.stdout.count('\n') == 1
    assert 'hush' not in result.stdout
    document = json.loads(run(app, 'check', '--platform', '--json', **environment).stdout)
    assert document['state'] == text.partition(':')[0]
