"""Rows as the monitor and the workers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cadasta.workertoolbox.database.tables import monitors, rejected, result_tables, task, workers
from rig.monitor.databases import make_tables

NOW = datetime.now(UTC)
HOSTILE = '<script>alert("x")</script><img src="https://elsewhere.invalid/" onerror=alert(1)>{{ 7 * 7 }}'
SECRET = 'hush-hush'

#: The columns of a result.
RESULT = ('result', 'traceback', 'started', 'lease', 'worker', 'runs')

results, _ = result_tables({}, {})


class Seed:
    """Writes tasks and results.

    :param url: the database's URL; it gets the tables
    """

    def __init__(self, url: str) -> None:
        self.url = url
        make_tables(url)
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.number = 0

    def task(self, task_id: str, state: str | None = None, age: float = 0, took: float = 1, **columns: Any) -> str:
        """Adds a task that was first seen `age` seconds ago, and its result if it has a state."""
        result = {name: columns.pop(name) for name in RESULT if name in columns}
        seen = NOW - timedelta(seconds=age)
        row = {
            'name': 'export.project',
            'routing_key': 'export',
            'root_id': task_id,
            'args': [],
            'kwargs': {},
            'retries': 0,
            'options': {},
            'first_seen': seen,
            'last_seen': seen,
            **columns,
        }
        with self.engine.begin() as connection:
            connection.execute(sa.insert(task).values(task_id=task_id, **row))
        if state:
            self.result(task_id, state, seen + timedelta(seconds=took), **result)
        return task_id

    def result(self, task_id: str, state: str, done: datetime = NOW, **columns: Any) -> None:
        self.number += 1
        with self.engine.begin() as connection:
            connection.execute(
                sa.insert(results).values(
                    id=self.number,
                    task_id=task_id,
                    status=state,
                    date_done=done.replace(tzinfo=None),
                    retries=0,
                    replaced=0,
                    **columns,
                )
            )

    def worker(self, name: str, age: float = 0, **columns: Any) -> None:
        """Adds a worker that reported `age` seconds ago, and a monitor that has read since."""
        seen = datetime.now(UTC) - timedelta(seconds=age)
        row = {
            'boot': name,
            'name': name,
            'host': 'host',
            'pid': 7,
            'queues': ['export', 'msg'],
            'pool': 'prefork',
            'concurrency': 4,
            'active': 0,
            'held': 3,
            'done': 0,
            'number': 1,
            'versions': {'toolbox': '1.1.0'},
            'first_seen': seen,
            'last_seen': seen,
            **columns,
        }
        with self.engine.begin() as connection:
            connection.execute(sa.insert(workers).values(row))
        if not age:
            self.monitor(0)

    def monitor(self, caught_up: float) -> None:
        """Adds a monitor that had read all that was in the platform queue so many seconds ago."""
        now = datetime.now(UTC)
        row = {'boot': 'monitor', 'host': 'host', 'pid': 8, 'version': '1.1.0', 'first_seen': now, 'last_seen': now}
        with self.engine.begin() as connection:
            connection.execute(sa.insert(monitors).values(**row, caught_up=now - timedelta(seconds=caught_up)))

    def rejected(self) -> None:
        """Adds a message that the monitor could not read."""
        row = {'digest': '7' * 64, 'reason': 'no JSON', 'message': b'', 'first_seen': NOW, 'last_seen': NOW}
        with self.engine.begin() as connection:
            connection.execute(sa.insert(rejected).values(row))

    def project(self) -> str:
        """Adds a workflow: a task, the three that it scheduled, and two after the last of them."""
        self.task('project', 'SUCCESS', 3_600, 2, result=b'{"path": "/exports/7.zip"}')
        for number, (state, took) in enumerate([('SUCCESS', 20), ('RETRY', 45), ('STARTED', 5)]):
            self.task(
                f'layer-{number}',
                state,
                3_598,
                took,
                name='export.layer',
                root_id='project',
                parent_id='project',
                args=[number, SECRET],
            )
        self.task(
            'message',
            'FAILURE',
            3_590,
            8,
            name='msg.send',
            routing_key='msg',
            root_id='project',
            parent_id='layer-0',
            result=b'{"exc_type": "ValueError"}',
            traceback=f'ValueError: {SECRET}',
        )
        self.task('archive', age=3_589, name='export.archive', root_id='project', parent_id='message')
        return 'project'

    def hostile(self) -> str:
        """Adds a task that tries to be more than text wherever it can."""
        return self.task(
            HOSTILE,
            HOSTILE[:50],
            60,
            name=HOSTILE,
            routing_key=HOSTILE,
            args=[HOSTILE],
            kwargs={HOSTILE: HOSTILE},
            origin=HOSTILE,
            group_id=HOSTILE[:155],
            options={'h': HOSTILE},
            result=HOSTILE.encode(),
            traceback=HOSTILE,
        )
