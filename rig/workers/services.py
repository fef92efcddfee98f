"""A platform for tests: a broker, a results database, and real processes of the projects beside this file."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ..servers.broker import PLATFORM_QUEUE, Broker, Key
from ..servers.environment import clean_environment
from ..servers.postgres import Database
from ..servers.process import Process, Processes, wait_until

PROJECTS = Path(__file__).parent / 'projects'

# The line that a worker logs when it begins to work.
READY = r'ready\.$'
#: The messages of the stage `workflows`, without those of `celery.chord_unlock`, which are one or more.
WORKFLOWS = {
    'export.tasks.flaky': 3,
    'audit.flaky': 2,
    'export.tasks.fail': 1,
    'celery.accumulate': 1,
    'export.tasks.add': 2 + 5 + 4,
    'report.tasks.total': 2,
}
#: The messages of beat.
BEAT = {'export.tasks.tick': 3, 'audit.tick': 3, 'report.tasks.total': 3}


class Services:
    """Starts workers, producers and beat of one broker and database, and reads their journal.

    :param broker: their broker
    :param database: their results
    :param processes: stops them at the end
    :param environment: more variables for all of them
    """

    def __init__(self, broker: Broker, database: Database, processes: Processes, **environment: str) -> None:
        self.broker = broker
        self.environment = environment
        self.database = database
        self.processes = processes
        self.journal_file = processes.logs / 'journal'
        self.journal_file.touch()
        self.begin()

    def begin(self) -> None:
        """Forgets all messages before now."""
        self.broker.drain(PLATFORM_QUEUE)
        self.tracked: Counter[Key] = Counter()
        self.journal_begin = self.journal_file.stat().st_size

    def start_worker(self, project: str, *options: str, **environment: str) -> Process:
        """Starts `celery -A project worker`, prefork; `worker.wait_for(READY)` waits until it works."""
        return self.processes.start(
            self._celery(project, 'worker', '-l', 'INFO', '-n', f'{project}@%h', *options),
            self._environment({**self.broker.environment, **environment}),
        )

    def start_proxied_worker(self, project: str, *options: str, **environment: str) -> Process:
        """Starts a worker whose connections `broker.cut()` and `broker.refuse()` end."""
        return self.processes.start(
            self._celery(project, 'worker', '-l', 'INFO', *options),
            self._environment({**self.broker.proxied_environment, **environment}),
        )

    def start_workers(self) -> list[Process]:
        """Starts a worker for each of two services, one with `-Q` and one without, and waits until they work."""
        workers = []
        for project, *options in (('export', '-Q', 'celery,export'), ('report',)):
            # This starts them one after the other: two that start at once can spoil the files in which kombu's
            # filesystem broker keeps bindings.
            workers.append(self.start_worker(project, '-c', '2', *options))
            workers[-1].wait_for(READY)
        return workers

    def start_celery(self, project: str, *arguments: str) -> Process:
        """Starts `celery -A project` with these arguments."""
        return self.processes.start(self._celery(project, *arguments), self._environment(self.broker.environment))

    def start_beat(self, project: str) -> Process:
        return self.processes.start(
            self._celery(project, 'beat', '-l', 'INFO', '-s', str(self.processes.logs / 'schedule'), '--pidfile='),
            self._environment(self.broker.environment),
        )

    def start_producer(self, project: str, stage: str, *arguments: str) -> Process:
        """Starts a process that only sends tasks, over connections that `broker.cut()` cuts."""
        return self.processes.start(
            [sys.executable, str(PROJECTS / 'produce.py'), project, stage, *arguments],
            self._environment(self.broker.proxied_environment),
        )

    def produce(self, project: str, stage: str, *arguments: str) -> None:
        """Sends the tasks of a stage to the last one."""
        producer = self.start_producer(project, stage, *arguments)
        assert producer.wait() == 0, producer.log

    def published(self) -> Counter[Key]:
        """Every message that any process has sent."""
        return self.noted('published')

    def ran(self) -> Counter[Key]:
        """Every message that a worker has run, once for each run."""
        return self.noted('ran')

    def noted(self, event: str) -> Counter[Key]:
        """The notes that the processes have written into their journal."""
        with self.journal_file.open() as journal:
            journal.seek(self.journal_begin)
            # The last line may be half written.
            notes: list[dict[str, Any]] = [json.loads(line) for line in journal if line.endswith('\n')]
        return Counter(Key(note['task'], note['id'], note['retries']) for note in notes if note['event'] == event)

    def copies(self) -> Counter[Key]:
        """Every message that came to the platform queue until now. It takes them from the queue."""
        self.tracked.update(message.key for message in self.broker.drain(PLATFORM_QUEUE))
        return self.tracked

    def wait_until_done(self, tasks: dict[str, int], timeout: float = 120) -> None:
        """Waits until this number of messages of each task was sent, and all of them have run."""

        def is_done() -> bool:
            sent = self.published()
            counts = names(sent)
            return all(counts[task] >= number for task, number in tasks.items()) and sent <= self.ran()

        try:
            wait_until(is_done, f'{tasks} to be sent and to run', timeout, interval=0.1)
        except TimeoutError as error:
            logs = '\n'.join(f'{process.argv}:\n{process.log[-4000:]}' for process in self.processes.started)
            raise TimeoutError(f'{error}; sent: {names(self.published())}, ran: {names(self.ran())}\n{logs}') from None

    def _environment(self, broker: dict[str, str]) -> dict[str, str]:
        variables = {**broker, **self.database.environment, **self.environment}
        return clean_environment(PROJECTS, JOURNAL=str(self.journal_file), **variables)

    @staticmethod
    def _celery(project: str, *arguments: str) -> list[str]:
        return [sys.executable, '-m', 'celery', '-A', project, *arguments]


def names(messages: Counter[Key]) -> Counter[str]:
    """The number of messages of each task."""
    return Counter(message.task for message in messages.elements())
