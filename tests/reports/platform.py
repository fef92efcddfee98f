"""A platform: a broker, a database, a monitor in this process, and workers of the project `reporting`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from cadasta.workertoolbox import Config, ReportedWorker, TrackedTasks
from cadasta.workertoolbox.commands import toolbox
from cadasta.workertoolbox.monitor.loop import Monitor
from rig.monitor.at_work import at_work
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.process import Process, Processes, wait_until
from rig.workers.services import READY

PROJECTS = Path(__file__).parent / 'projects'
AGE = timedelta(minutes=10)
_TIMES = {
    'celery_monitor': ('last_seen', 'caught_up'),
    'celery_task': ('first_seen', 'last_seen'),
    'celery_taskmeta': ('started', 'date_done'),
}


class Platform:
    """Starts workers and a monitor, and asks what the platform knows of them."""

    def __init__(self, broker: Broker, database: TaskDatabase, processes: Processes) -> None:
        self.broker = broker
        self.database = database
        self.processes = processes
        self.app = Celery('reporting', set_as_current=False)
        self.app.config_from_object(
            Config(QUEUES=['reporting', 'idle'], result_backend=f'db+{database.url}', **broker.settings)
        )

    def worker(self, *options: str, name: str = 'w1', **environment: str) -> Process:
        worker = self.processes.start(
            [sys.executable, '-m', 'celery', '-A', 'reporting', 'worker', '-l', 'INFO', '-n', f'{name}@here', *options],
            clean_environment(
                PROJECTS,
                **{
                    **self.broker.environment,
                    'CELERY_RESULT_BACKEND': f'db+{self.database.url}',
                    'CELERY_REPORT': 'yes',
                    **environment,
                },
            ),
        )
        worker.wait_for(READY)
        return worker

    @contextmanager
    def monitor(self) -> Iterator[None]:
        """A monitor that is at work all the time."""
        with at_work(Monitor(self.app, self.database.url, linger=0)):
            yield

    def workers(self) -> dict[str, ReportedWorker]:
        with TrackedTasks(self.database.url) as tracked:
            return {worker.name: worker for worker in tracked.workers(datetime.now(UTC) - timedelta(hours=1))}

    def wait_for(self, **standings: str) -> dict[str, ReportedWorker]:
        """Waits until the workers have these standings."""

        def found() -> dict[str, ReportedWorker] | None:
            workers = self.workers()
            asked = {f'{name}@here': standing for name, standing in standings.items()}
            return workers if {name: worker.standing for name, worker in workers.items()} == asked else None

        return wait_until(found, f'workers to be {standings}', interval=0.1)

    def later(self) -> None:
        """Lets time pass for the workers. One that lives reports again."""
        self.database.execute('UPDATE celery_worker SET last_seen = last_seen - :age', age=AGE)

    def much_later(self, *tables: str) -> None:
        """Lets time pass for the rows of tables."""
        for table in tables:
            changes = ', '.join(f'{column} = {column} - :age' for column in _TIMES[table])
            self.database.execute(f'UPDATE {table} SET {changes}', age=AGE)

    def command(self, *arguments: str, **environment: str) -> Result:
        context = CLIContext(self.app, no_color=True, workdir=None)
        return CliRunner().invoke(
            toolbox, arguments, obj=context, env={'TOOLBOX_DATABASE': self.database.url, **environment}
        )
