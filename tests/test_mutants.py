"""Mutation testing is set up for files and tests that exist: `mutmut run` takes hours, and CI does not run it."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['mutmut']


def test_each_module_exists() -> None:
    patterns = [*SETTINGS['only_mutate'], *SETTINGS['do_not_mutate']]
    assert [pattern for pattern in patterns if not list(ROOT.glob(pattern))] == []


def test_each_test_exists() -> None:
    arguments = SETTINGS['pytest_add_cli_args']
    left_out = [name for option, name in itertools.pairwise(arguments) if option == '--deselect']
    for test in (*SETTINGS['pytest_add_cli_args_test_selection'], *left_out):
        file, _, function = test.partition('::')
        assert (ROOT / file).exists(), test
        assert not function or f'def {function}(' in (ROOT / file).read_text(), test
