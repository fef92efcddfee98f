"""An app goes on as before once its functional tests are done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound
from celery.local import Proxy
from kombu.transport import memory

from cadasta.workertoolbox.conf import Config

from ..commands.running import run
from .apps import add
from .judging import judge

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def app() -> Any:
    app = Celery('hermetic', set_as_current=False)
    app.config_from_object(Config(QUEUES=['hermetic'], broker_url='memory://', result_backend='db+sqlite://'))
    add(app, 'hermetic.project')
    yield app
    app.close()


PROJECT = """
import pathlib, unittest
from celery import Celery
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.tests import build_functional_tests

here = pathlib.Path(__file__).parent
app = Celery('hermetic', broker='filesystem://')
app.config_from_object(Config(
    QUEUES=['hermetic'],
    broker_url='filesystem://',
    broker_transport_options={
        'data_folder_in': here / 'queue', 'data_folder_out': here / 'queue', 'control_folder': here / 'control',
        'polling_interval': 0.1,
    },
    result_backend=f'db+sqlite:///{here}/results.sqlite',
))

@app.task(name='hermetic.run')
def run():
    (here / 'ran').open('a').write('x')

result = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app)).run(result)
assert result.wasSuccessful(), result.failures
"""


@pytest.mark.process
def test_it_publishes_and_consumes_as_before(tmp_path: Path) -> None:
    (tmp_path / 'hermetic_project.py').write_text(PROJECT)
    (tmp_path / 'queue').mkdir()
    environment = {**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{REPOSITORY}', 'CELERY_REPORT': 'no'}
    producer = 'from hermetic_project import run; run.delay()'
    subprocess.run([sys.executable, '-c', producer], env=environment, cwd=tmp_path, check=True)
    assert messages(tmp_path) == {'hermetic': 1, 'platform.fifo': 1}
    command = [sys.executable, '-m', 'celery', '-A', 'hermetic_project', 'worker', '--pool', 'solo', '-l', 'WARNING']
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as worker:
        deadline = time.monotonic() + 120
        while messages(tmp_path) != {'platform.fifo': 1}:
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker.terminate()
    assert worker.returncode == 0
    assert (tmp_path / 'ran').read_text() == 'x'
    assert messages(tmp_path) == {'platform.fifo': 1}


def messages(directory: Path) -> Counter[str]:
    """How many messages are in each queue."""
    return Counter(path.name.split('.', 1)[1].removesuffix('.msg') for path in (directory / 'queue').iterdir())


def test_nothing_reaches_the_broker_of_the_app(app: Celery) -> None:
    memory.Channel.queues.clear()
    assert judge(app) == {}
    assert not memory.Channel.queues


def test_another_app_in_the_process_is_judged_by_its_own_tasks(app: Celery) -> None:
    other = Celery('other', set_as_current=False)
    other.config_from_object(Config(QUEUES=['other']))
    add(app, 'hermetic.run')
    add(other, 'other.run')
    assert judge(other) == judge(app) == judge(other) == {}
    with pytest.raises(QueueNotFound):
        other.send_task('hermetic.run')


first = Celery('first', set_as_current=False)
first.config_from_object(Config(QUEUES=['first']))
second = Celery('second', set_as_current=False)
second.config_from_object(Config(QUEUES=['second']))


@first.task(name='first.run')
def run_first() -> None: ...


@second.task(name='second.run')
def run_second() -> None: ...


def test_a_task_of_another_app_of_the_process_is_left_to_that_app() -> None:
    # Celery registers it in both.
    assert 'first.run' in second.tasks
    assert 'second.run' in first.tasks
    assert judge(first) == judge(second) == {}


@pytest.mark.parametrize('app', [first, second], ids=['first', 'second'])
def test_an_app_behind_a_proxy_is_judged_by_its_own_tasks(app: Celery) -> None:
    # `celery -A` finds `celery.current_app` where the module of the app imports it before it makes the app.
    current = Proxy(lambda: app)
    assert judge(current) == judge(app) == {}
    assert run(current, 'check', '--offline').exit_code == 0
    assert f'{app.main}.run' in run(current, 'topology').output
