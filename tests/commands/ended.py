"""Tasks that a real worker has run and a real monitor has stored: successes, failures of several kinds, others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from click.testing import Result

from cadasta.workertoolbox.conf import Config
from rig.monitor.databases import TaskDatabase, url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Processes, wait_until

from .running import run

TASKS = """

import time


class Refused(Exception):
    pass


@app.task(name='export.lookup')
def lookup(parcel):
    raise KeyError(f'no parcel {parcel} at <object at 0x7f{parcel}>')


@app.task(name='export.refuse')
def refuse(words):
    raise Refused(words, 7)


@app.task(name='export.sleep')
def sleep(seconds):
    time.sleep(seconds)


@app.task(name='msg.fail', ignore_result=True)
def fail():
    raise ValueError('nobody stores it')
"""
SEND = """
from celery import chain
from project import app, export, fail, lookup, refuse, sleep

for name, signature in {
    'lookup-1': lookup.s(41), 'lookup-2': lookup.s(42), 'lookup-3': lookup.si(7),
    'refused': refuse.s('not \\x1b[31m today'), 'slept': sleep.s(0.25), 'exported': export.s(7),
    'ignored': fail.s(), 'waiting': export.si(8).set(queue='msg', countdown=3600), 'queued': export.si(9),
}.items():
    queue = {'queue': 'msg'} if name == 'queued' else {}
    signature.apply_async(task_id=name, **queue)
chain(lookup.s(43).set(task_id='first'), export.si(10).set(task_id='never-sent')).apply_async()
"""
#: The tasks that failed, without the rest of the chain.
LOOKUPS = {'lookup-1', 'lookup-2', 'lookup-3', 'first'}
STORED = {*LOOKUPS, 'refused', 'slept', 'exported', 'never-sent'}


@dataclass
class Ended:
    """The tasks, their database, and the app of a project of the test's own."""

    toolbox: Toolbox
    broker: Broker
    tasks: TaskDatabase
    app: Celery

    def __call__(self, *arguments: str, **environment: str) -> Result:
        """Runs a command in this process."""
        result = run(self.app, *arguments, TOOLBOX_DATABASE=self.tasks.url, **environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def lines(self, *arguments: str, **environment: str) -> list[list[str]]:
        """Gives what a command writes into a pipe."""
        result = self(*arguments, **environment)
        assert result.exit_code == 0, result.output
        return [line.split('\t') for line in result.stdout.splitlines()]

    def ids(self, table: str = 'celery_task') -> set[str]:
        return {row['task_id'] for row in self.tasks.execute(f'SELECT task_id FROM {table}')}


def app_of(broker: Broker, **settings: Any) -> Celery:
    app = Celery('reports', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'msg'], **broker.settings, **settings))
    return app


@contextmanager
def ended(directory: Path, tasks: TaskDatabase) -> Iterator[Ended]:
    """Runs the tasks. The queue `msg` has no worker."""
    broker = FilesystemBroker(directory)
    with closing(broker), Processes(directory) as processes:
        toolbox = Toolbox(directory, processes, broker, tasks.url)
        with (directory / 'project.py').open('a') as project:
            project.write(TASKS)
        toolbox.environment['CELERY_RESULT_BACKEND'] = f'db+{tasks.url}'
        worker = processes.start(
            [sys.executable, '-m', 'celery', '-A', 'project', 'worker', '-P', 'solo', '-Q', 'export', '-l', 'INFO'],
            toolbox.environment,
        )
        worker.wait_for(r'ready\.$')
        producer = processes.start([sys.executable, '-c', SEND], toolbox.environment)
        assert producer.wait() == 0, producer.log

        def are_stored() -> bool:
            rows = tasks.execute("SELECT task_id FROM celery_taskmeta WHERE status IN ('SUCCESS', 'FAILURE')")
            return {row['task_id'] for row in rows} == STORED

        wait_until(are_stored, 'the results')
        worker.stop()
        monitor = toolbox.start('monitor', '--once')
        assert monitor.wait() == 0, monitor.log
        yield Ended(toolbox, broker, tasks, app_of(broker))


def database_of(kind: str, request: pytest.FixtureRequest, directory: Path) -> TaskDatabase:
    if kind == 'sqlite':
        return TaskDatabase(f'sqlite:///{directory}/tasks.db')
    return TaskDatabase(url_of(request.getfixturevalue('postgres').create_database()))
