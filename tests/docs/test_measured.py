"""The commands that repeat what was measured."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from .manual import ROOT, Manual

PAGE = 'explanation/measured'


def test_commands(manual: Manual) -> None:
    """Each of them would run for minutes; that it has these options is shown by its help."""
    blocks = manual.blocks(PAGE, 'console')
    assert sum(len(block.commands) for block in blocks) >= 3
    for block in blocks:
        for command, _ in block.commands:
            assert_options(shlex.split(command))
        block.note_run()


def assert_options(command: list[str]) -> None:
    path = f'{os.path.dirname(sys.executable)}{os.pathsep}{os.environ["PATH"]}'
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
