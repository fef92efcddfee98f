"""The commands of the how-to show a task of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.servers.process import Processes, free_port

from .manual import Block, Manual
from .service import Service, service_with_a_task
from .terminal import Terminal

PAGES = ['howto/watching']
PORT = '8642'


@pytest.fixture
def service(tmp_path: Path, processes: Processes) -> Iterator[Service]:
    with service_with_a_task(tmp_path, processes, PIP_NO_INDEX='1') as service:
        yield service


def test_commands(manual: Manual, service: Service, processes: Processes) -> None:
    port = str(free_port())
    for block in manual.blocks(PAGES[0], 'console'):
        # Another program may have the port of the page.
        block = Block(block.page, block.language, block.caption, block.classes, block.text.replace(PORT, port))
        terminal = Terminal(processes, {**service.environment, 'TOOLBOX_PORT': port, 'id': '0f3c'}, service.directory)
        terminal.follow(block)
        if 'stays' in block.classes:
            terminal.interrupt()
