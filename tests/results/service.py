"""Workers of the project `once`, what they wrote down, and what the table of results says."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery

from cadasta.workertoolbox.conf import Config
from rig.monitor.databases import url_of
from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.postgres import Database
from rig.servers.process import Process, Processes, wait_until
from rig.workers.services import READY

PROJECTS = Path(__file__).parent / 'projects'
PATIENCE = 60.0


class Service:
    """Starts workers of the project `once`, and sends tasks to them from this process."""

    def __init__(self, broker: Broker, database: Database, processes: Processes) -> None:
        self.broker = broker
        self.database = database
        self.processes = processes
        self.journal = processes.logs / 'journal'
        self.journal.touch()
        self.app = Celery('once', set_as_current=False)
        self.app.config_from_object(Config(QUEUES=['once', 'idle'], result_backend=self._url, **broker.settings))
        self._number = 0

    @property
    def _url(self) -> str:
        return f'db+{url_of(self.database, self.database.role, self.database.password)}'

    def start(
        self,
        *options: str,
        lease: int = 60,
        project: str = 'once',
        settings: dict[str, Any] | None = None,
        **environment: str,
    ) -> Process:
        """Starts a worker, and waits until it works."""
        self._number += 1
        worker = self.processes.start(
            [
                sys.executable,
                '-m',
                'celery',
                '-A',
                project,
                'worker',
                '-l',
                'INFO',
                '-n',
                f'w{self._number}@here',
                *options,
            ],
            clean_environment(
                PROJECTS,
                JOURNAL=str(self.journal),
                LEASE=str(lease),
                SETTINGS=json.dumps(settings or {}),
                **self.broker.environment,
                **{**self.database.environment, **environment},
            ),
        )
        worker.wait_for(READY)
        return worker

    def send(self, name: str, *args: Any, task_id: str | None = None, **options: Any) -> str:
        """Sends a task; gives its id."""
        result_id: str = self.app.send_task(f'once.{name}', args, task_id=task_id, **options).id
        return result_id

    def notes(self) -> list[dict[str, Any]]:
        lines = self.journal.read_text().splitlines(keepends=True)
        # The last line may be half written.
        return [json.loads(line) for line in lines if line.endswith('\n')]

    def count(self, event: str, task_id: str) -> int:
        return sum(note['event'] == event and note['id'] == task_id for note in self.notes())

    def at_once(self) -> Counter[str]:
        """How many runs of each task there were at a time, at most. A run that was killed lasts for ever."""
        running: Counter[str] = Counter()
        most: Counter[str] = Counter()
        for note in sorted(self.notes(), key=lambda note: note['at']):
            running[note['id']] += {'begin': 1, 'end': -1}.get(note['event'], 0)
            most[note['id']] = max(most[note['id']], running[note['id']])
        return most

    def row(self, task_id: str, columns: str = 'status') -> Any:
        rows = self.database.execute(f'SELECT {columns} FROM celery_taskmeta WHERE task_id = %s', task_id)
        return (rows[0][0] if len(rows[0]) == 1 else rows[0]) if rows else None

    def wait_for_state(self, task_id: str, state: str) -> None:
        self.wait_until(lambda: self.row(task_id) == state, f'{task_id} to be {state}')

    def wait_until(self, condition: Any, what: str, timeout: float = PATIENCE) -> Any:
        try:
            return wait_until(condition, what, timeout, interval=0.1)
        except TimeoutError as error:
            logs = '\n'.join(f'{process.argv}:\n{process.log[-6000:]}' for process in self.processes.started)
            raise TimeoutError(f'{error}; {self.notes()}, {self.database.states()}\n{logs}') from None


@contextmanager
def service(broker: Broker, database: Database, processes: Processes) -> Iterator[Service]:
    made = Service(broker, database, processes)
    yield made
    made.app.pool.force_close_all()
