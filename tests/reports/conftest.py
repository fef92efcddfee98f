from __future__ import annotations

import pytest

from cadasta.workertoolbox.alarms import judging
from cadasta.workertoolbox.monitor import presence
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import Broker
from rig.servers.process import Processes

from ..monitor.conftest import fresh_connections
from .platform import Platform

__all__ = ['fresh_connections']


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monitor of a test says often how far it has read."""
    monkeypatch.setattr(presence, 'EVERY', 0.2)
    monkeypatch.setattr(judging, 'PAUSES', (0.1, 0.1))


@pytest.fixture
def platform(broker: Broker, postgresql: TaskDatabase, processes: Processes) -> Platform:
    return Platform(broker, postgresql, processes)
