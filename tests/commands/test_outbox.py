"""`celery -A project toolbox tables --outbox` and `toolbox relay`: they go together, and with no other database."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from cadasta.workertoolbox import Config, outbox
from cadasta.workertoolbox.commands import toolbox
from rig.monitor.databases import url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until


def run(app: Celery, url: str, *arguments: str) -> Result:
    context = CLIContext(app, no_color=True, workdir=None)
    return CliRunner().invoke(toolbox, arguments, obj=context, env={'TOOLBOX_DATABASE': url})


@pytest.fixture
def app(broker: Broker) -> Celery:
    app = Celery('shop', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export'], **broker.settings))
    return app


memory = pytest.mark.parametrize('broker', ['memory'], indirect=True)


@memory
def test_what_was_written_is_published(app: Celery, broker: Broker, tmp_path: Path) -> None:
    url = f'sqlite:///{tmp_path}/shop.db'
    missing = run(app, url, 'relay', '--once')
    assert missing.exit_code == 1
    assert "The database has no table 'celery_outbox': run `celery toolbox tables --outbox` first" in missing.output
    for _ in range(2):
        assert run(app, url, 'tables', '--outbox').output == ''
    assert sa.inspect(sa.create_engine(url)).get_table_names() == ['celery_outbox']
    with sa.create_engine(url).begin() as connection, outbox(app, connection):
        app.send_task('export.project', task_id='1')
    assert run(app, url, 'relay', '--once').exit_code == 0
    assert [message.headers['id'] for message in broker.drain(PLATFORM_QUEUE)] == ['1']


@memory
def test_scripts(app: Celery) -> None:
    script = run(app, 'postgresql://localhost/shop', 'tables', '--outbox', '--sql', '--producer-role', 'shop').output
    assert 'CREATE TABLE IF NOT EXISTS celery_outbox' in script
    assert 'GRANT INSERT (task_id, name, routing_key, headers, properties, body) ON celery_outbox TO shop;' in script
    assert 'celery_task' not in script
    assert 'celery_outbox' not in run(app, 'postgresql://localhost/shop', 'tables', '--sql').output


@memory
@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        (('--outbox', '--worker-role', 'export'), '--outbox goes with --producer-role and --relay-role only'),
        (('--outbox', '--allow-pickle'), 'run the command twice.'),
        (('--producer-role', 'shop'), '--producer-role and --relay-role go with --outbox.'),
        (('--relay-role', 'relay'), '--producer-role and --relay-role go with --outbox.'),
    ],
)
def test_options_that_do_not_go_together(app: Celery, arguments: tuple[str, ...], error: str) -> None:
    done = run(app, 'sqlite://', 'tables', *arguments)
    assert done.exit_code == 2
    assert error in done.output


@memory
def test_sqlite_has_no_roles(app: Celery) -> None:
    done = run(app, 'sqlite://', 'tables', '--outbox', '--relay-role', 'relay')
    assert (done.exit_code, done.output) == (1, 'Error: SQLite has no roles\n')


def test_an_app_without_a_config(tmp_path: Path) -> None:
    done = run(Celery('plain', broker='memory://', set_as_current=False), 'sqlite://', 'relay', '--once')
    assert done.exit_code == 1
    assert "App 'plain' is not configured by a Config, so nobody knows its work queues" in done.output


WRITE = """
import sys
import sqlalchemy
from project import app
from cadasta.workertoolbox import outbox

with sqlalchemy.create_engine(sys.argv[1]).begin() as connection, outbox(app, connection):
    app.send_task('export.project', (7,), task_id='1')
"""


@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_processes(tmp_path: Path, processes: Processes, broker: Broker, database: Database) -> None:
    programs = Toolbox(tmp_path, processes, broker, url_of(database))
    assert programs.start('tables', '--outbox').wait() == 0
    relay = programs.start('relay')
    relay.wait_for('Ready: the relay publishes what is committed')
    writer = processes.start([sys.executable, '-c', WRITE, url_of(database)], programs.environment)
    assert writer.wait() == 0, writer.log
    relay.wait_for('Published: 1')
    wait_until(lambda: broker.count('export') == broker.count(PLATFORM_QUEUE) == 1, 'the messages')
    assert relay.stop() == 0
    assert broker.drain('export')[0].body[0] == [7]
