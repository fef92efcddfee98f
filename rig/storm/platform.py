"""The part of a platform that is the same on all brokers."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cadasta.workertoolbox import upgrade, upgrade_outbox

from ..monitor.databases import url_of
from ..servers.broker import Broker
from ..servers.environment import clean_environment
from ..servers.postgres import Database
from ..servers.process import Process, Processes
from ..servers.proxy import Proxy
from .faults import LEASE, SLOWNESS

PROJECTS = Path(__file__).parent / 'projects'

_DISK = """
CREATE OR REPLACE FUNCTION disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$
"""


class Platform:
    """A platform that a storm hits. This part is the same on all brokers: the database and the notes.

    :param broker: the broker
    :param database: the database of tasks and results
    :param processes: stops the processes that are started here
    """

    def __init__(self, broker: Broker, database: Database, processes: Processes) -> None:
        self.broker = broker
        self.processes = processes
        self.database = database
        upgrade(url_of(database))
        upgrade_outbox(url_of(database))
        database.execute('CREATE TABLE committed (task_id text PRIMARY KEY)')
        self.way_to_database = Proxy(database.server.port)
        self.notes = processes.logs / 'notes'
        self.notes.touch()
        self.is_slow = False
        self._set_disk(0)
        for table in ('celery_task', 'celery_taskmeta', 'celery_outbox'):
            database.execute(f'CREATE TRIGGER disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION disk()')

    def produce(self, seed: int, seconds: float, workflows: int) -> None:
        """Begin to send a number of workflows within some seconds."""
        raise NotImplementedError

    def wait_for_producers(self) -> None:
        raise NotImplementedError

    def stop_beat(self) -> None:
        raise NotImplementedError

    def empty_outbox(self) -> None:
        """Stop the relays, and publish what they have left."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop as an operator does. A process that does not end well by itself is an error."""
        raise NotImplementedError

    def supervise(self) -> None:
        """Restart the processes that ended by themselves, as an operator's system does."""

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
        """Make the disk slow, or fast again: a trigger delays each statement that writes."""
        self.is_slow = not self.is_slow
        self._set_disk(SLOWNESS if self.is_slow else 0)

    def calm(self) -> None:
        """End the faults: make a slow disk fast again."""
        self._set_disk(0)

    def close(self) -> None:
        self.way_to_database.close()

    def celery(self, project: str, *arguments: str, **environment: str) -> Process:
        """Start `celery -A project ...`."""
        return self.python('-m', 'celery', '-A', project, *arguments, **environment)

    def python(self, *arguments: str, **environment: str) -> Process:
        """Start a process whose connections can be cut."""
        variables = {
            **self.broker.proxied_environment,
            **self.database.environment,
            'RESULT_DB_PORT': str(self.way_to_database.port),
            'TOOLBOX_DATABASE': self.task_database,
            'NOTES': str(self.notes),
            'LEASE': str(LEASE),
            **environment,
        }
        return self.processes.start([sys.executable, *arguments], clean_environment(PROJECTS, **variables))

    @property
    def task_database(self) -> str:
        """The URL of the database for monitor, relays and producers, by a way that can be cut."""
        return url_of(self.database).replace(f':{self.database.server.port}/', f':{self.way_to_database.port}/')

    def _set_disk(self, seconds: float) -> None:
        self.database.execute(_DISK.format(seconds=seconds))
