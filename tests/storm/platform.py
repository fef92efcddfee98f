"""Everything that a storm hits: services, producers, beat and the monitor, with a way to strike each."""
from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..monitor.databases import TaskDatabase, url_of
from ..monitor.programs import Toolbox
from ..real.services import READY
from ..servers.broker import Broker
from ..servers.environment import clean_environment
from ..servers.postgres import ADMIN, ADMIN_PASSWORD, Database
from ..servers.process import Process, Processes
from ..servers.proxy import Proxy
from .faults import SLOWNESS

PROJECTS = Path(__file__).parent / 'projects'
PRODUCERS = 2

_DISK = """
CREATE OR REPLACE FUNCTION disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$
"""


class Platform:
    """The part that is the same on all brokers: database and notes.

    :param broker: the broker
    :param database: the database of tasks and results
    :param processes: stops what is started here
    """

    def __init__(self, broker: Broker, database: Database, processes: Processes) -> None:
        self.broker = broker
        self.processes = processes
        self.database = database
        self.tasks = TaskDatabase(url_of(database))
        self.way_to_database = Proxy(database.server.port)
        self.notes = processes.logs / 'notes'
        self.notes.touch()
        self.is_slow = False
        self._set_disk(0)
        for table in ('celery_task', 'celery_taskmeta'):
            database.execute(f'CREATE TRIGGER disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION disk()')

    def strike(self, name: str, chance: random.Random) -> None:
        fault: Callable[[random.Random], None] = getattr(self, name)
        fault(chance)

    def note(self, event: str, **what: Any) -> None:
        line = json.dumps({'event': event, 'at': time.monotonic(), 'process': os.getpid(), **what})
        with self.notes.open('a') as notes:
            notes.write(f'{line}\n')

    def cut_database(self, chance: random.Random) -> None:
        self.way_to_database.cut()

    def restart_postgres(self, chance: random.Random) -> None:
        self.database.server.stop()
        time.sleep(chance.uniform(0, 2))
        self.database.server.start()

    def slow_disk(self, chance: random.Random) -> None:
        """The disk becomes slow, or fast again: with a trigger each statement that writes takes longer."""
        self.is_slow = not self.is_slow
        self._set_disk(SLOWNESS if self.is_slow else 0)

    def calm(self) -> None:
        """No more faults: what is still slow is fast again."""
        self._set_disk(0)

    def close(self) -> None:
        self.way_to_database.close()

    def _set_disk(self, seconds: float) -> None:
        self.database.execute(_DISK.format(seconds=seconds))

    def _environment(self) -> dict[str, str]:
        return clean_environment(
            PROJECTS, NOTES=str(self.notes), **self.broker.proxied_environment,
            **{**self.database.environment, 'RESULT_DB_PORT': str(self.way_to_database.port)})

    def _task_database(self) -> str:
        return url_of(self.database).replace(f':{self.database.server.port}/', f':{self.way_to_database.port}/')


class Separate(Platform):
    """Each part is a process of its own, started as a user starts it."""

    WORKERS = (('exporting', 'celery,export', 3), ('messaging', 'msg', 2))

    def __init__(self, broker: Broker, database: Database, processes: Processes) -> None:
        super().__init__(broker, database, processes)
        self.toolbox = Toolbox(processes.logs, processes, broker, self._task_database())
        self.monitor = self._start_monitor()
        self.monitor.wait_for('Ready: ')
        self.workers: list[Process] = []
        for number in range(len(self.WORKERS)):
            # One after the other: kombu's filesystem broker spoils its bindings where two processes declare at once.
            self.workers.append(self._start_worker(number))
            self.workers[-1].wait_for(READY)
        self.beat = self._celery('exporting', 'beat', '-s', str(processes.logs / 'schedule'), '--pidfile=')
        self.producers: list[Process] = []

    def produce(self, seed: int, seconds: float, workflows: int) -> None:
        for number in range(PRODUCERS):
            self.producers.append(self._python(
                str(PROJECTS / 'producing.py'), f'{seed} {number}', str(seconds), str(workflows // PRODUCERS)))

    def wait_for_producers(self) -> None:
        for producer in self.producers:
            assert producer.wait() == 0, producer.log

    def stop_beat(self) -> None:
        self.beat.stop()

    def stop(self) -> None:
        """Stop as an operator does. Whatever does not end well by itself is an error."""
        for process in (*self.workers, self.monitor):
            process.ask_to_stop()
        for process in (*self.workers, self.monitor):
            assert process.stop() == 0, process.log[-4000:]

    def cut_broker(self, chance: random.Random) -> None:
        self.note('cut')
        self.broker.cut()

    def kill_worker(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.workers))
        self.note('killed', of=self.workers[number].popen.pid)
        self.workers[number].kill()
        self.workers[number] = self._start_worker(number)

    def kill_child(self, chance: random.Random) -> None:
        """Kill one process of a worker's pool."""
        worker = chance.choice(self.workers).popen.pid
        children = Path(f'/proc/{worker}/task/{worker}/children').read_text().split()
        if children:
            child = int(chance.choice(children))
            self.note('killed', of=child)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def restart_worker(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.workers))
        self.workers[number].stop()
        self.workers[number] = self._start_worker(number)

    def kill_monitor(self, chance: random.Random) -> None:
        self.monitor.kill()
        self.monitor = self._start_monitor()

    def restart_monitor(self, chance: random.Random) -> None:
        self.monitor.stop()
        self.monitor = self._start_monitor()

    def _start_worker(self, number: int) -> Process:
        project, queues, children = self.WORKERS[number]
        return self._celery(
            project, 'worker', '-l', 'INFO', '-n', f'{project}@%h', '-c', str(children), '-Q', queues)

    def _start_monitor(self) -> Process:
        return self.toolbox.start('monitor', '--batch', '20', '--linger', '0.1', **self.broker.proxied_environment)

    def _celery(self, project: str, *arguments: str) -> Process:
        return self._python('-m', 'celery', '-A', project, *arguments)

    def _python(self, *arguments: str) -> Process:
        return self.processes.start([sys.executable, *arguments], self._environment())
