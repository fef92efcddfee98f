"""A reader who follows the tutorial literally gets the output that it shows."""

from __future__ import annotations

import site
from pathlib import Path

import pytest

from rig.servers.environment import clean_environment
from rig.servers.process import Processes, free_port

from .manual import Block, Manual
from .terminal import Terminal

PAGES = ['tutorial']
PORT = '5566'
# Output that goes into a file looks as it would on a terminal.
SCREEN = {'FORCE_COLOR': '1', 'COLUMNS': '120'}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a reader without variables. The packages are installed, so pip needs no index."""
    environment = clean_environment(*map(Path, site.getsitepackages()), HOME=str(tmp_path), PIP_NO_INDEX='1', **SCREEN)
    return {name: value for name, value in environment.items() if not name.startswith('AWS_') and name != 'VIRTUAL_ENV'}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_tutorial(manual: Manual, environment: dict[str, str], tmp_path: Path, processes: Processes) -> None:
    # Another program may have the port that the tutorial chose.
    port = str(free_port())
    first = Terminal(processes, environment, tmp_path)
    others = []
    for block in manual.blocks('tutorial'):
        block = Block(block.page, block.language, block.caption, block.classes, block.text.replace(PORT, port))
        if block.caption:
            (tmp_path / 'tracked' / block.caption).write_text(f'{block.text}\n')
        elif 'stays' in block.classes:
            others.append(Terminal(processes, environment, tmp_path))
            others[-1].follow(block)
        else:
            first.follow(block)
    assert len(others) == 3
    for terminal in reversed(others):
        terminal.interrupt()
