from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

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
def platform(broker: Broker, upgraded: Database, processes: Processes) -> Iterator[Platform]:
    with service(broker, upgraded, processes) as made:
        yield Platform(made)
