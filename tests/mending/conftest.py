from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from cadasta.workertoolbox.database.upgrade import upgrade
from rig.monitor.databases import url_of
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes

from ..monitor.conftest import fresh_connections
from ..results.service import service
from .platform import Platform

__all__ = ['fresh_connections']


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command asks the broker twice within a moment, and PostgreSQL may have been started just now."""
    lost = sys.modules['cadasta.workertoolbox.mending.lost']
    monkeypatch.setattr(lost, 'PAUSE', 0.1)
    monkeypatch.setattr(lost, 'PATIENCE', 0.5)
    monkeypatch.setattr(lost, 'RENEWED', 0)


@pytest.fixture
def platform(broker: Broker, database: Database, processes: Processes) -> Iterator[Platform]:
    upgrade(url_of(database))
    with service(broker, database, processes) as made:
        yield Platform(made)
