"""A task that names no app goes through the app with a `Config`, or is refused: it is never sent untracked."""

from __future__ import annotations

import sys

import pytest

from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.process import Processes

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis'], indirect=True)]

BEGIN = """
import threading
from celery import Celery, shared_task
from cadasta.workertoolbox import Config, NoCurrentApp

@shared_task(name='export.project')
def project():
    pass

raised = []

def publish():
    try:
        project.delay()
    except NoCurrentApp as error:
        raised.append(str(error))

def in_thread():
    thread = threading.Thread(target=publish)
    thread.start()
    thread.join()

def make_app(name):
    app = Celery(name)
    app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://'))
    return app

app = make_app('export')
"""


def run(processes: Processes, broker: Broker, code: str) -> tuple[int, int, int]:
    """Runs code that knows its broker by the environment, and counts what it sent: tracked, to export, and astray."""
    program = processes.start([sys.executable, '-c', BEGIN + code], clean_environment(**broker.environment))
    assert program.wait() == 0, program.log
    return broker.count('platform.fifo'), broker.count('export'), broker.count('celery')


def test_a_shared_task_in_a_thread_is_tracked(processes: Processes, broker: Broker) -> None:
    assert run(processes, broker, 'Celery("other")\nin_thread()') == (1, 1, 0)


def test_it_is_refused_where_no_app_can_be_told(processes: Processes, broker: Broker) -> None:
    code = """
make_app('another')
in_thread()
Celery('other')
publish()
threads, second = raised
assert threads.startswith("Task 'export.project' was not sent") and "'another', 'export'" in threads, raised
assert "is 'other', which has no settings" in second, raised
"""
    assert run(processes, broker, code) == (0, 0, 0)


def test_an_app_that_somebody_wants_is_left_alone(processes: Processes, broker: Broker) -> None:
    code = """
other = Celery('other', task_default_queue='celery')
publish()
Celery('quiet', set_as_current=False).send_task('export.project')
other.set_default()
in_thread()
assert not raised
"""
    assert run(processes, broker, code) == (0, 0, 3)
