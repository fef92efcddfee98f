"""A platform: the service `once`, a monitor in this process, and the commands `lost` and `resend`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from cadasta.workertoolbox.commands import toolbox
from cadasta.workertoolbox.mending import lost as _loaded  # noqa: F401  # a fixture changes its constants
from cadasta.workertoolbox.monitor.loop import Monitor
from rig.monitor.at_work import at_work
from rig.monitor.databases import url_of
from rig.servers.broker import PLATFORM_QUEUE

from ..results.service import Service

AGE = timedelta(minutes=10)
# The times of each table that tell what has happened.
_TIMES = {'celery_task': ('first_seen', 'last_seen', 'eta'), 'celery_taskmeta': ('lease', 'started', 'date_done')}


class Platform:
    """Sends tasks, tracks them, lets time pass, and asks what is lost.

    :param service: the service, with its broker and its database
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.broker = service.broker
        self.database = service.database
        self.url = url_of(service.database)

    def track(self) -> None:
        """Stores what the platform queue has."""
        self.broker.count(PLATFORM_QUEUE)
        Monitor(self.service.app, self.url, once=True).run()

    @contextmanager
    def monitor(self) -> Iterator[None]:
        """A monitor that is at work all the time."""
        with at_work(Monitor(self.service.app, self.url, linger=0)):
            yield

    def row(self, task_id: str, column: str) -> Any:
        return self.database.execute(f'SELECT {column} FROM celery_task WHERE task_id = %s', task_id)[0][0]

    def is_tracked(self, task_id: str) -> bool:
        return bool(self.database.execute('SELECT 1 FROM celery_task WHERE task_id = %s', task_id))

    def later(self) -> None:
        """Lets time pass for the rows. A worker that lives renews its leases."""
        for table, columns in _TIMES.items():
            changes = ', '.join(f"{column} = {column} - interval '{AGE}'" for column in columns)
            self.database.execute(f'UPDATE {table} SET {changes}')

    def purge(self, *queues: str) -> None:
        for queue in queues:
            self.broker.drain(queue)

    def command(self, *arguments: str) -> Result:
        context = CLIContext(self.service.app, no_color=True, workdir=None)
        return CliRunner().invoke(toolbox, arguments, obj=context, env={'TOOLBOX_DATABASE': self.url})

    def suspects(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Gives the word of `toolbox lost --overdue` for each task."""
        result = self.command('lost', '--overdue', '--json', *arguments)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code == int(any(task.get('lost', True) for task in found)), result
        return {task['task_id']: task for task in found if 'task_id' in task}

    def lost(self, *arguments: str) -> set[str]:
        return {task_id for task_id, task in self.suspects(*arguments).items() if task['lost']}

    def resend(self, *arguments: str) -> Result:
        result = self.command('resend', *arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result
