"""A database of any kind with the Task table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from cadasta.workertoolbox.monitor import upgrade

from ..servers.postgres import ADMIN, ADMIN_PASSWORD, Database


class TaskDatabase:
    """Reads the rows that the monitor wrote.

    :param url: the database's URL, with a role that owns the tables
    """

    def __init__(self, url: str) -> None:
        self.url = url
        upgrade(url)
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)

    def execute(self, statement: Any, **parameters: Any) -> list[Any]:
        """Runs a statement; returns its rows."""
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement) if isinstance(statement, str) else statement, parameters)
            return list(result.mappings()) if result.returns_rows else []

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The rows of the Task table, by id; times are aware, and bytes are bytes."""
        from cadasta.workertoolbox.database.tables import task

        return {
            row['task_id']: {name: aware(value) for name, value in row.items()} for row in self.execute(sa.select(task))
        }

    def retries(self) -> dict[str, int]:
        """The retries of each task, by id."""
        return {task_id: row['retries'] for task_id, row in self.tasks().items()}

    def rejected(self) -> list[Any]:
        from cadasta.workertoolbox.database.tables import rejected

        return self.execute(sa.select(rejected).order_by(rejected.c.first_seen, rejected.c.reason))

    def count(self, table: str = 'celery_task') -> int:
        return int(self.execute(f'SELECT count(*) AS n FROM {table}')[0]['n'])


def aware(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def url_of(database: Database, role: str = ADMIN, password: str = ADMIN_PASSWORD) -> str:
    """The URL of a database of the private cluster."""
    url = URL.create('postgresql+psycopg2', role, password, '127.0.0.1', database.server.port, database.name)
    return url.render_as_string(hide_password=False)
