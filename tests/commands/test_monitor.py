"""`celery -A project toolbox`: what the operators type, see and set."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from cadasta.workertoolbox import commands
from cadasta.workertoolbox.conf import Config
from rig.monitor.databases import TaskDatabase, url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.environment import clean_environment
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until

from ..monitor.test_streams import make_app


@pytest.fixture
def app() -> Celery:
    app = Celery('commands', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', result_backend='db+sqlite:///results.db'))
    return app


def run(app: Celery, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        commands.toolbox, arguments, obj=CLIContext(app, no_color=True, workdir=None), env=environment
    )


def options(command: click.Command) -> dict[str, Any]:
    return {option.opts[-1]: option for option in command.params if isinstance(option, click.Option)}


def test_each_option_has_a_variable() -> None:
    for command in commands.toolbox.commands.values():
        for name, option in options(command).items():
            assert option.envvar == f'TOOLBOX_{name.lstrip("-").upper().replace("-", "_")}'
            assert option.help


def test_tables_in_the_result_database(app: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        result = run(app, 'tables')
        assert (result.exit_code, result.output) == (0, '')
    assert TaskDatabase(f'sqlite:///{tmp_path}/results.db').count('celery_task_status') == 0


def test_tables_as_sql(app: Celery) -> None:
    result = run(
        app,
        'tables',
        '--sql',
        '--worker-role',
        'ada',
        '--monitor-role',
        'bob',
        '--janitor-role',
        'cyn',
        '--reader-role',
        'dan',
        TOOLBOX_DATABASE='postgresql://nobody:hush@nowhere/',
    )
    assert result.exit_code == 0
    for line in (
        'CREATE TABLE IF NOT EXISTS celery_task (',
        'CREATE TABLE IF NOT EXISTS celery_taskmeta (',
        'GRANT SELECT, INSERT ON celery_taskmeta TO ada;',
        'ALTER TABLE celery_taskmeta ENABLE ROW LEVEL SECURITY;',
        'GRANT SELECT, INSERT ON celery_task TO bob;',
        'GRANT UPDATE (last_seen, caught_up, ended) ON celery_monitor TO bob;',
        'GRANT SELECT, DELETE ON celery_task TO cyn;',
        'GRANT SELECT ON celery_task_status TO dan;',
        "SET LOCAL lock_timeout = '3s';",
        'COMMIT;',
    ):
        assert line in result.output
    assert 'hush' not in result.output


@pytest.mark.parametrize(
    ('url', 'error'),
    [
        ('postgresql://ada:hush@127.0.0.1:1/db', 'cannot be reached'),
        ('mssql://ada:hush@localhost/', 'PostgreSQL or SQLite'),
    ],
)
def test_tables_without_a_database(app: Celery, url: str, error: str) -> None:
    result = run(app, 'tables', '--database', url)
    assert result.exit_code == 1
    assert error in result.output
    assert 'hush' not in result.output


@pytest.mark.parametrize('command', ['tables', 'monitor'])
def test_no_database_is_known(command: str) -> None:
    app = Celery('commands', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', result_backend='rpc://'))
    result = run(app, command)
    assert result.exit_code == 2
    assert 'result_backend is no database: give --database' in result.output


def test_monitor_without_tables(app: Celery, tmp_path: Path) -> None:
    result = run(app, 'monitor', '--once', '--database', f'sqlite:///{tmp_path}/empty.db')
    assert result.exit_code == 1
    assert "Error: The database has no table 'celery_task': run `celery toolbox tables` first" in result.output


@pytest.mark.parametrize('arguments', [('--batch', '0'), ('--linger', '-1'), ('--loglevel', 'LOUD')])
def test_bad_options(app: Celery, arguments: tuple[str, str]) -> None:
    assert run(app, 'monitor', *arguments).exit_code == 2


@pytest.fixture
def toolbox(tmp_path: Path, processes: Processes, broker: Broker, database: Database) -> Toolbox:
    toolbox = Toolbox(tmp_path, processes, broker, url_of(database))
    assert toolbox.start('tables').wait() == 0
    return toolbox


#: A service with a chord whose header waits for a file.
SERVICE = """
import time
from pathlib import Path
from celery import Celery
from cadasta.workertoolbox.conf import Config

app = Celery('service')
app.config_from_object(Config(QUEUES=['export', 'msg'], database_create_tables_at_setup=False))


@app.task(name='export.wait')
def wait(path):
    while not Path(path).exists():
        time.sleep(0.05)


@app.task(name='export.archive')
def archive(done): ...
"""
SEND = """
import sys
from celery import chord
from service import archive, wait

print('sent', chord([wait.s(sys.argv[1])], archive.s()).delay().parent[0].id)
"""


#: Has a monitor of RabbitMQ say what it has in its hands: what it was sent and has not read yet would go back.
SAYING = """
from cadasta.workertoolbox.monitor.sources.amqp import AMQPSource

on_message = AMQPSource._on_message


def say(self, message):
    on_message(self, message)
    print('gathered', flush=True)


AMQPSource._on_message = say
"""


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
class TestProcess:
    """The real program, with the environment that a container gives it."""

    def test_once(self, toolbox: Toolbox, broker: Broker, database: Database) -> None:
        app = make_app(broker)
        for number in range(20):
            app.send_task('export.project', ('secret', number), argsrepr='(***)')
        process = toolbox.start('monitor', TOOLBOX_ONCE='1', TOOLBOX_BATCH='7', TOOLBOX_NO_ARGUMENTS='1')
        assert process.wait() == 0
        assert database.execute('SELECT args, count(*) FROM celery_task GROUP BY 1') == [('(***)', 20)]
        assert broker.count(PLATFORM_QUEUE) == 0

    def test_once_beside_a_chord_that_waits(
        self, toolbox: Toolbox, processes: Processes, broker: Broker, database: Database, tmp_path: Path
    ) -> None:
        """The watch over the chord sends a message each second."""
        directory = tmp_path / 'service'
        directory.mkdir()
        (directory / 'service.py').write_text(SERVICE)
        environment = clean_environment(directory, **broker.environment, **database.environment)
        processes.start(
            [sys.executable, '-m', 'celery', '-A', 'service', 'worker', '-Q', 'export,celery', '-c', '2', '-l', 'INFO'],
            environment,
        ).wait_for(r'ready\.$')
        file = tmp_path / 'file'
        producer = processes.start([sys.executable, '-c', SEND, str(file)], environment)
        producer.wait_for('^sent')
        # The first message of the watch, its first retry, and the task that it waits for.
        wait_until(lambda: broker.count(PLATFORM_QUEUE) >= 3, 'a retry')
        assert toolbox.start('monitor', '--once').wait() == 0
        assert not file.exists()
        query = 'SELECT name, standing FROM celery_task_status'
        standings = dict(database.execute(query))
        # It waits for its next look, which may be due.
        assert standings.pop('celery.chord_unlock') in ('waiting', 'unknown')
        assert standings == {'export.wait': 'running'}
        file.touch()
        wait_until(lambda: list(database.states().values()).count('SUCCESS') == 3, 'the end of the chord')
        assert toolbox.start('monitor', '--once').wait() == 0
        assert set(database.execute(query)) == {
            (name, 'succeeded') for name in ('celery.chord_unlock', 'export.wait', 'export.archive')
        }

    @pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
    def test_signals_and_the_ready_file(
        self,
        toolbox: Toolbox,
        broker: Broker,
        database: Database,
        tmp_path: Path,
        number: signal.Signals,
    ) -> None:
        ready = tmp_path / 'ready'
        with (tmp_path / 'project.py').open('a') as project:
            project.write(SAYING)
        process = toolbox.monitor('--ready-file', str(ready), '--linger', '60')
        assert ready.exists()
        make_app(broker).send_task('export.project')
        # The batch is not full: without the signal it would wait for a minute.
        process.wait_for('^gathered$')
        process.popen.send_signal(number)
        assert process.wait(45) == 0
        assert not ready.exists()
        assert database.execute('SELECT count(*) FROM celery_task') == [(1,)]

    def test_a_role_that_may_not_write(self, toolbox: Toolbox, broker: Broker, database: Database) -> None:
        make_app(broker).send_task('export.project')
        process = toolbox.start('monitor', TOOLBOX_DATABASE=url_of(database, database.role, database.password))
        assert process.wait() == 1
        assert 'Error: The database refuses to store tasks: permission denied' in process.log
        wait_until(lambda: broker.count(PLATFORM_QUEUE) == 1, 'the message to be back')

    def test_tables_of_version_1_0(self, toolbox: Toolbox, broker: Broker, database: Database) -> None:
        """The monitor takes nothing from the queue that it cannot store."""
        database.execute('DROP VIEW celery_task_status, celery_task_scheduled')
        database.execute('ALTER TABLE celery_task DROP sent, DROP body, DROP resent')
        make_app(broker).send_task('export.project')
        process = toolbox.start('monitor')
        assert process.wait() == 1
        assert "'celery_task', without sent, body, resent: run `celery toolbox tables` first" in process.log
        assert broker.count(PLATFORM_QUEUE) == 1
        assert toolbox.start('tables').wait() == 0
        assert toolbox.start('monitor', '--once').wait() == 0
        assert database.execute('SELECT sent IS NOT NULL FROM celery_task') == [(True,)]


@pytest.mark.parametrize('broker', ['redis', 'sqs'], indirect=True)
def test_a_signal_while_it_waits(toolbox: Toolbox, broker: Broker, tmp_path: Path) -> None:
    ready = tmp_path / 'ready'
    # On SQS, by a long poll.
    toolbox.environment.update(CELERY_BROKER_TRANSPORT_OPTIONS=json.dumps({**broker.options, 'wait_time_seconds': 2}))
    process = toolbox.monitor('--ready-file', str(ready))
    assert ready.exists()
    process.popen.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert not ready.exists()
