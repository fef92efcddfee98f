"""The commands of the how-to show a task of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Processes, free_port

from .manual import Block, Manual
from .service import Service, sqlite
from .terminal import Terminal

PAGES = ['howto/watching']
PORT = '8642'
SET_UP_AND_SEND = """
from cadasta.workertoolbox.setup import setup_app
from export.celery import app
from export.tasks import project

setup_app(app, throw=True)
project.apply_async((42,), task_id='0f3c')
"""


@pytest.fixture
def service(tmp_path: Path, processes: Processes) -> Iterator[Service]:
    """A service whose task was stored by the monitor and has no result yet."""
    broker = FilesystemBroker(tmp_path)
    service = Service(processes, {**broker.environment, **sqlite(tmp_path), 'PIP_NO_INDEX': '1'})
    service.celery('toolbox', 'tables')
    service.run('-c', SET_UP_AND_SEND)
    service.celery('toolbox', 'monitor', '--once')
    yield service
    broker.close()


def test_commands(manual: Manual, service: Service, processes: Processes) -> None:
    port = str(free_port())
    for block in manual.blocks(PAGES[0], 'console'):
        # Another program may have the port of the page.
        block = Block(block.page, block.language, block.caption, block.classes, block.text.replace(PORT, port))
        terminal = Terminal(processes, {**service.environment, 'TOOLBOX_PORT': port, 'id': '0f3c'}, service.directory)
        terminal.follow(block)
        if 'stays' in block.classes:
            terminal.interrupt()
