"""Time zones and connections of the monitor's tests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import kombu.pools
import pytest


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
