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
from celery import Celery, chain, current_app, shared_task, signature
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import NoCurrentApp

@shared_task(name='export.project')
def project():
    pass

def shared():
    project.delay()

def by_name():
    signature("export.project").delay()

def in_thread(function):
    raised = []
    def run():
        try:
            function()
        except NoCurrentApp as error:
            raised.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None

def config():
    return Config(QUEUES=['export'], result_backend='db+sqlite://')
"""

APP = """
app = Celery('export')
app.config_from_object(config())
"""


def run(processes: Processes, broker: Broker, code: str) -> tuple[int, int, int]:
    """Runs code that knows its broker by the environment, and counts what it sent: tracked, to export, and astray."""
    program = processes.start([sys.executable, '-c', BEGIN + code], clean_environment(**broker.environment))
    assert program.wait() == 0, program.log
    return broker.count('platform.fifo'), broker.count('export'), broker.count('celery')


@pytest.mark.parametrize(
    'code',
    [
        APP + 'in_thread(shared)',
        APP + 'in_thread(by_name)',
        APP + 'in_thread(lambda: chain(signature("export.project"), signature("export.project")).delay())',
        APP + 'in_thread(lambda: current_app.send_task("export.project"))',
        APP + 'other = Celery("other"); project.delay()',
        APP + 'other = Celery("other"); in_thread(shared)',
        'other = Celery("other")' + APP + 'in_thread(shared)',
        'app = Celery("export", config_source=config()); in_thread(shared)',
        APP + 'Celery("another", config_source=config(), set_as_current=False); in_thread(shared)',
        APP + 'Celery("another", config_source=config()); app.set_default(); in_thread(shared)',
        APP + 'Celery("another", config_source=config()); in_thread(lambda: app.set_current() or project.delay())',
    ],
)
def test_it_is_tracked(processes: Processes, broker: Broker, code: str) -> None:
    assert run(processes, broker, code) == (1, 1, 0)


@pytest.mark.parametrize(
    'code',
    [
        APP + 'Celery("another", config_source=config()); error = in_thread(shared)',
        APP + 'Celery("another", config_source=config()); error = in_thread(by_name)',
        'app = Celery("export", config_source=config(), set_as_current=False); error = in_thread(shared)',
    ],
)
def test_it_is_refused_where_no_app_can_be_told(processes: Processes, broker: Broker, code: str) -> None:
    code += '\nassert str(error).startswith("Task \'export.project\' was not sent"), error'
    assert run(processes, broker, code) == (0, 0, 0)


@pytest.mark.parametrize(
    'code',
    [
        APP + 'other = Celery("other"); other.send_task("export.project")',
        APP + 'other = Celery("other"); other.task(project.run, name="other.task").delay()',
        APP + 'other = Celery("other"); other.set_current(); project.delay()',
        APP + 'other = Celery("other"); other.set_default(); in_thread(shared)',
        'app = Celery("export", config_source=config(), set_as_current=False); Celery("other"); project.delay()',
        'in_thread(shared)',
    ],
)
def test_another_app_that_was_chosen_is_left_alone(processes: Processes, broker: Broker, code: str) -> None:
    assert run(processes, broker, code) == (0, 0, 1)
