"""The page, served by the real program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache

from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.process import Processes

from .seed import Seed


@pytest.fixture(autouse=True, scope='session')
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each template is compiled once. Most tests make an app of their own, and each app would compile them anew."""
    cache = FileSystemBytecodeCache(str(tmp_path_factory.mktemp('templates')))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(Flask.jinja_options, 'bytecode_cache', cache)
        yield


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    """A SQLite database with the tables, for rows of the test's own."""
    return Seed(f'sqlite:///{tmp_path}/tasks.db')


@pytest.fixture
def client(seed: Seed) -> FlaskClient:
    """Asks a page that shows this database."""
    return create_app(seed.url).test_client()


@pytest.fixture
def toolbox(tmp_path: Path, processes: Processes, seed: Seed) -> Toolbox:
    """Starts `celery -A project toolbox ui` for that database."""
    return Toolbox(tmp_path, processes, Broker('memory', 'memory://', {}), seed.url)
