"""The page, served by the real program."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.process import Processes

from .seed import Seed


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    """A SQLite database with the tables, for rows of the test's own."""
    return Seed(f'sqlite:///{tmp_path}/tasks.db')


@pytest.fixture
def toolbox(tmp_path: Path, processes: Processes, seed: Seed) -> Toolbox:
    """Starts `celery -A project toolbox ui` for that database."""
    return Toolbox(tmp_path, processes, Broker('memory', 'memory://', {}), seed.url)
