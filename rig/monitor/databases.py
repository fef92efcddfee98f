"""A database of any kind with the Task table."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from cadasta.workertoolbox.monitor import upgrade

from ..servers.postgres import ADMIN, ADMIN_PASSWORD, Database


class TaskDatabase:
    """Reads the rows that the monitor wrote.

    :param url: the database's URL, with a role that owns the tables
    :param is_upgraded: whether the database has the tables; else it gets them
    """

    def __init__(self, url: str, is_upgraded: bool = False) -> None:
        self.url = url
        if not is_upgraded:
            make_tables(url)
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


def make_tables(url: str) -> None:
    """Does the same as `upgrade`. A new SQLite database is a copy of one that is made once."""
    parts = make_url(url)
    # With options, it may be in memory.
    is_file = parts.drivername == 'sqlite' and not parts.query and parts.database not in (None, ':memory:')
    if is_file and not Path(str(parts.database)).exists():
        Path(str(parts.database)).write_bytes(_upgraded_file())
    else:
        upgrade(url)


@cache
def _upgraded_file() -> bytes:
    """The file of a SQLite database that has the tables and no rows."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / 'tasks.db'
        upgrade(f'sqlite:///{path}')
        return path.read_bytes()


def aware(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def url_of(database: Database, role: str = ADMIN, password: str = ADMIN_PASSWORD) -> str:
    """The URL of a database of the private cluster."""
    url = URL.create('postgresql+psycopg2', role, password, '127.0.0.1', database.server.port, database.name)
    return url.render_as_string(hide_password=False)
