"""The commands that repeat what was measured."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from .manual import ROOT, Manual

PAGE = 'explanation/measured'
PAGES = [PAGE]


@pytest.fixture
def commands(manual: Manual) -> list[list[str]]:
    lines = [line for block in manual.blocks(PAGE) if block.language == 'console' for line in block.text.splitlines()]
    return [shlex.split(line.removeprefix('$ ')) for line in lines]


def test_commands(commands: list[list[str]]) -> None:
    """The help of each command shows its options. The commands themselves would run for minutes."""
    assert len(commands) >= 3
    path = f'{os.path.dirname(sys.executable)}{os.pathsep}{os.environ["PATH"]}'
    for command in commands:
        shown = subprocess.run(
            [*command, '--help'],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, 'PATH': path, 'VIRTUAL_ENV': sys.prefix},
        ).stdout
        assert 'usage: ' in shown
        for option in command:
            assert not option.startswith('--') or option in shown, option
