"""`celery -A project toolbox cancel`: what waits is not run, what runs is terminated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.bin.base import CLIContext
from celery.exceptions import TaskRevokedError
from click.testing import CliRunner, Result

from cadasta.workertoolbox.commands import toolbox
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.monitor.loop import Monitor
from cadasta.workertoolbox.results.cancelling import Cancelling
from cadasta.workertoolbox.tracked import query
from rig.monitor.databases import TaskDatabase, url_of

from ..tracked.rows import schedule_all, store
from .service import Service


class Shell:
    """Runs the command in a process of the test's own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.app = Celery('shell', set_as_current=False)
        self.app.config_from_object(Config(broker_url='memory://', result_backend=f'db+{url}'))

    def __call__(self, *arguments: str) -> Result:
        context = CLIContext(self.app, no_color=True, workdir=None)
        return CliRunner().invoke(toolbox, ['cancel', *arguments], obj=context, env={'TOOLBOX_DATABASE': self.url})


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_what_waits_and_what_runs(once: Service, tmp_path: Path) -> None:
    url = url_of(once.database)
    upgrade(url)
    worker = once.start('-Q', 'once', '-c', '1', lease=3)
    runs, waits = once.send('late', str(tmp_path / 'gate')), once.send('plain')
    once.wait_until(lambda: once.count('begin', runs), 'the task to begin')
    Monitor(once.app, url, once=True).run()
    shell = Shell(url)
    assert shell('--name', 'once.*').exit_code == 0
    assert once.row(runs) == 'STARTED'
    assert shell('--name', 'once.*', '--yes').stderr == '2 cancelled\n'
    worker.wait_for(f'{runs}. was cancelled, and is terminated')
    once.wait_for_state(once.send('plain'), 'SUCCESS')
    assert (once.row(runs), once.row(waits)) == ('REVOKED', 'REVOKED')
    assert (once.count('begin', waits), once.count('end', runs)) == (0, 0)
    with pytest.raises(TaskRevokedError):
        once.app.AsyncResult(waits).get(timeout=10)
    assert not once.broker.count('once')


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_pool_that_cannot_terminate(once: Service, tmp_path: Path) -> None:
    gate = tmp_path / 'gate'
    worker = once.start('-Q', 'once', '-c', '1', '-P', 'threads', lease=3)
    task_id = once.send('plain', str(gate))
    once.wait_until(lambda: once.count('begin', task_id), 'the task to begin')
    upgrade(url_of(once.database))
    assert Shell(url_of(once.database))(task_id, '--yes').exit_code == 0
    worker.wait_for('was cancelled, and runs on')
    gate.touch()
    worker.wait_for('is not stored: run 1')
    assert once.row(task_id) == 'REVOKED'


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(query, 'VALUES', 2)
    return Shell(TaskDatabase(f'sqlite:///{tmp_path / "tasks.db"}').url)


def test_choice(shell: Shell) -> None:
    tasks = TaskDatabase(shell.url)
    schedule_all(tasks, [{'task_id': str(number), 'name': 'export.project'} for number in range(5)])
    store(tasks, '1', 'SUCCESS')
    shown = shell('--name', 'export.*')
    assert sorted(line.partition('\t')[0] for line in shown.stdout.splitlines()) == ['0', '2', '3', '4']
    assert shown.stderr == '4 would be cancelled: repeat the command with --yes\n'
    assert not tasks.execute("SELECT * FROM celery_taskmeta WHERE status = 'REVOKED'")
    done = shell('0', '1', 'new', '--yes')
    assert done.stdout == '0\tPENDING\texport.project\nnew\tunknown\t\n'
    assert done.stderr == '2 cancelled\n'
    with sa.create_engine(shell.url).connect() as connection:
        rows = connection.execute(sa.text('SELECT task_id, status FROM celery_taskmeta ORDER BY task_id')).all()
    assert [tuple(row) for row in rows] == [('0', 'REVOKED'), ('1', 'SUCCESS'), ('new', 'REVOKED')]


def test_a_table_of_another_name(tmp_path: Path) -> None:
    url, names = f'sqlite:///{tmp_path / "tasks.db"}', {'task': 'own'}
    upgrade(url, names)
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(milliseconds=1)
    with Cancelling(url, names) as cancelling:
        assert cancelling.cancel(['1']) == {'1'}
    with sa.create_engine(url).connect() as connection:
        ((state, done),) = connection.execute(sa.text('SELECT status, date_done FROM own'))
    assert (state, before <= datetime.fromisoformat(done)) == ('REVOKED', True)


@pytest.mark.parametrize('arguments', [[], ['1', '--name', 'export.*']])
def test_ids_or_conditions(shell: Shell, arguments: list[str]) -> None:
    assert 'either by their ids or by' in shell(*arguments).stderr
