"""Databases with the Task table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import kombu.pools
import pytest

from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.postgres import Database


@pytest.fixture
def postgresql(database: Database) -> TaskDatabase:
    """A PostgreSQL database."""
    return TaskDatabase(url_of(database))


@pytest.fixture(params=['postgresql', 'sqlite'])
def tasks(request: pytest.FixtureRequest, tmp_path: Path) -> TaskDatabase:
    """A PostgreSQL database, then a SQLite database."""
    if request.param == 'sqlite':
        return TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    database: TaskDatabase = request.getfixturevalue('postgresql')
    return database


@pytest.fixture
def new_york() -> Iterator[None]:
    """The monitor's own time is another than the one it stores."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv('TZ', 'America/New_York')
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def fresh_connections() -> Iterator[None]:
    """The brokers of two tests may have one URL, and kombu's pools know connections by nothing else."""
    yield
    kombu.pools.reset()
