"""The steps of a release are commands of setup.py. `tests/test_packaging.py` runs them."""

from __future__ import annotations

import shlex
import subprocess
import sys

from .manual import ROOT, Manual

PAGES = ['contributing/release']


def test_steps(manual: Manual) -> None:
    commands = [command for block in manual.blocks(PAGES[0], 'console') for command, _ in block.commands]
    install, release = map(shlex.split, commands)
    # The packages that it installs are there already, so pip needs no index.
    subprocess.run([sys.executable, '-m', *install, '--no-index', '--quiet'], cwd=ROOT, check=True)
    assert release[:2] == ['python', 'setup.py']
    for step in release[2:]:
        subprocess.run([sys.executable, 'setup.py', step, '--help'], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
