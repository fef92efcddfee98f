"""The import contracts in pyproject.toml: they hold, and a change that breaks one is found."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path('cadasta/workertoolbox')


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    return tmp_path


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    command = 'import sys; sys.path.insert(0, "."); from importlinter.cli import lint_imports_command as c; c()'
    done = subprocess.run(
        [sys.executable, '-c', command, '--no-cache'],
        cwd=directory,
        check=False,
        capture_output=True,
        text=True,
    )
    # Some versions write colours into a pipe, too.
    done.stdout = re.sub(r'\x1b\[[\d;]*m', '', done.stdout)
    return done


@pytest.mark.process
def test_the_contracts_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ('file', 'line', 'broken'),
    [
        ('settings/environment.py', 'from .. import conf', 'Each room stands on those below it BROKEN'),
        ('topology.py', 'import sqlalchemy', 'A producer loads neither a client of a broker nor a database BROKEN'),
        ('tracked/tree.py', 'from ..monitor import loop', 'A reader of tasks loads no source of messages BROKEN'),
        ('newcomer.py', '', 'cadasta.workertoolbox.newcomer'),
    ],
)
def test_a_broken_contract_is_found(copy: Path, file: str, line: str, broken: str) -> None:
    with (copy / PACKAGE / file).open('a') as module:
        module.write(f'\n{line}\n')
    done = lint(copy)
    assert done.returncode == 1
    assert broken in done.stdout
