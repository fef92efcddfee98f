from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from celery import Celery

from cadasta.workertoolbox import Relay, outbox, upgrade_outbox
from rig.monitor.databases import url_of

from ..monitor.conftest import fresh_connections
from ..publishing.conftest import Make, app, make

__all__ = ['Make', 'Shop', 'app', 'fresh_connections', 'make', 'shop', 'url']


class Shop:
    """An application that sends tasks by its outbox."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        upgrade_outbox(url)

    def order(self, app: Celery, *task_ids: str, **options: object) -> None:
        """Sends tasks in a transaction."""
        with self.engine.begin() as connection, outbox(app, connection):
            for task_id in task_ids:
                app.send_task('export.project', task_id=task_id, **options)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def set(self, task_id: str, column: str, value: str) -> None:
        """Changes a row of the outbox."""
        with self.engine.begin() as connection:
            statement = sa.text(f'UPDATE celery_outbox SET {column} = :value WHERE task_id = :task_id')
            connection.execute(statement, {'value': value, 'task_id': task_id})

    def left(self) -> list[tuple[object, ...]]:
        """The tasks in the outbox, and why they are kept aside."""
        return self.execute('SELECT task_id, reason FROM celery_outbox ORDER BY id')

    def relay(self, app: Celery) -> None:
        Relay(app, self.url, once=True).run()


@pytest.fixture(params=['postgresql', 'sqlite'])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database: PostgreSQL, then SQLite."""
    if request.param == 'sqlite':
        return f'sqlite:///{tmp_path}/shop.db'
    return url_of(request.getfixturevalue('database'))


@pytest.fixture
def shop(url: str) -> Shop:
    return Shop(url)
