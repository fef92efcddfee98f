"""The page, served by the real program for a database that was filled."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from ..servers.broker import Broker
from ..servers.postgres import Database, Postgres
from ..servers.process import Processes
from ..servers.started import started
from .databases import url_of
from .programs import Toolbox
from .seeding import refresh, seed


class Pages(NamedTuple):
    """The page of a filled database.

    :param url: its URL, without a path
    :param pid: its process
    :param database: the database
    """

    url: str
    pid: int
    database: Database

    def refresh(self) -> None:
        """Let the workers report that are alive."""
        refresh(url_of(self.database))

    @property
    def paths(self) -> dict[str, str]:
        """The paths of all pages, and of those with a window for each window, by title."""
        found = {
            'now': '/',
            'tasks': '/tasks',
            'tasks-failed': '/tasks?state=FAILURE',
            'tasks-lost': '/tasks?standing=lost',
            'tasks-of-a-name': '/tasks?find=map.style',
            'task': self._path("status = 'FAILURE' AND id % 4096 = 6"),
            'task-lost': self._path("status = 'STARTED' AND lease < now()"),
            # Every other one of the newest has large arguments.
            'task-large': self._path('id % 2 = 0'),
            'workers': '/workers',
        }
        windows = ('hour', 'day')
        return found | {
            f'{page}-{window}': f'/{page}?window={window}'
            for page in ('failures', 'names', 'counts')
            for window in windows
        }

    def _path(self, condition: str) -> str:
        """The path of the newest task that meets a condition."""
        found = self.database.execute(f'SELECT task_id FROM celery_taskmeta WHERE {condition} ORDER BY id DESC LIMIT 1')
        return f'/tasks/{found[0][0]}'


@contextmanager
def filled(tasks: int) -> Iterator[Pages]:
    """Serve the page of a database that has a number of tasks.

    :param tasks: the number of tasks
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # PostgreSQL has as much memory as its defaults give it.
        database = stack.enter_context(started(Postgres('shared_buffers=128MB'))).create_database()
        seed(url_of(database), tasks)
        processes = stack.enter_context(Processes(directory))
        toolbox = Toolbox(directory, processes, Broker('memory', 'memory://', {}), url_of(database))
        page = toolbox.start('ui', '--port', '0', '--show-arguments')
        yield Pages(page.wait_for(r'^(http://\S+)/$')[1], page.popen.pid, database)
