"""The service `export` of the manual, as processes of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from rig.servers.environment import clean_environment
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Process, Processes, wait_until

APP = """
from celery import Celery
from cadasta.workertoolbox.conf import Config

app = Celery('export', include=['export.tasks'])
app.config_from_object(Config(QUEUES=['export', 'msg']))
"""
TASKS = """
from .celery import app

@app.task(name='export.project', bind=True)
def project(self, number):
    if not self.request.retries:
        raise self.retry(countdown=0)
    return number
"""
#: A chord of three tasks, each of which is retried once.
SEND = """
from celery import chord
from export.tasks import project

chord([project.s(1), project.s(2)], project.s()).delay()
"""
#: A task that no worker runs.
SET_UP_AND_SEND = """
from cadasta.workertoolbox.setup import setup_app
from export.celery import app
from export.tasks import project

setup_app(app, throw=True)
project.apply_async((42,), task_id='0f3c')
"""


class Service:
    """Starts producers, workers, monitors and commands of the service.

    :param processes: stops them in the end; their directory gets the code
    :param environment: says where broker and database are
    """

    def __init__(self, processes: Processes, environment: dict[str, str]) -> None:
        self.processes = processes
        self.directory = processes.logs
        (self.directory / 'export').mkdir(exist_ok=True)
        (self.directory / 'export' / 'celery.py').write_text(APP)
        (self.directory / 'export' / 'tasks.py').write_text(TASKS)
        self.environment = clean_environment(self.directory, **environment)

    def start(self, *arguments: str, **environment: str) -> Process:
        return self.processes.start([sys.executable, *arguments], {**self.environment, **environment}, self.directory)

    def run(self, *arguments: str, **environment: str) -> Process:
        """Runs a process until it ends, and fails if it ends with an error."""
        process = self.start(*arguments, **environment)
        assert process.wait() == 0, process.log
        return process

    def celery(self, *arguments: str, **environment: str) -> Process:
        return self.run('-m', 'celery', '-A', 'export', *arguments, **environment)

    def worker(self, *arguments: str, **environment: str) -> Process:
        """Starts a worker and waits until it is at work."""
        worker = self.start(
            '-m', 'celery', '-A', 'export', 'worker', '-Q', 'export,celery', '-l', 'INFO', *arguments, **environment
        )
        worker.wait_for(r'ready\.$', 60)
        return worker

    def wait_until_stored(self, url: str, tasks: int) -> None:
        """Waits for the results of so many tasks, the watch over a chord among them. All are successes."""
        engine = sa.create_engine(url, poolclass=sa.NullPool)

        def is_done() -> bool:
            with engine.connect() as connection:
                states = list(connection.scalars(sa.text('SELECT status FROM celery_taskmeta')))
            return states.count('SUCCESS') == tasks

        wait_until(is_done, f'{tasks} results', 60)

    def assert_tracked(self, url: str, tasks: int) -> None:
        """Each task of the service has a row in the Task table, and its result."""
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            rows = connection.execute(
                sa.text("SELECT name, status FROM celery_task_status WHERE name LIKE 'export.%'")
            ).all()
        assert rows == [('export.project', 'SUCCESS')] * tasks, rows


def variables(block: str) -> dict[str, str]:
    """The variables that a shell sets when it runs a block."""
    printed = subprocess.run(
        ['bash', '-euc', f'set -a\n{block}\nexec env -0'],
        env={'PATH': os.environ['PATH']},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pairs = dict(line.split('=', 1) for line in printed.split('\0') if line)
    return {name: value for name, value in pairs.items() if name in names(block)}


def names(block: str) -> Iterator[str]:
    for word in shlex.split(block, comments=True):
        name, equals, _ = word.partition('=')
        if equals:
            yield name


def sqlite(directory: Path) -> dict[str, str]:
    """Variables for results and tasks in a file."""
    return {
        'CELERY_RESULT_BACKEND': f'db+sqlite:///{directory}/platform.sqlite',
        'TOOLBOX_DATABASE': f'sqlite:///{directory}/platform.sqlite',
    }


@contextmanager
def service_with_a_task(directory: Path, processes: Processes, **environment: str) -> Iterator[Service]:
    """A service whose task was stored by the monitor and has no result yet."""
    broker = FilesystemBroker(directory)
    service = Service(processes, {**broker.environment, **sqlite(directory), **environment})
    service.celery('toolbox', 'tables')
    service.run('-c', SET_UP_AND_SEND)
    service.celery('toolbox', 'monitor', '--once')
    yield service
    broker.close()
