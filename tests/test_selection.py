"""pytest runs all tests that the machine has the programs for, or with `--fast` those that start nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rig.servers.environment import clean_environment

pytestmark = pytest.mark.process

NEEDY = """
import pytest
from rig.servers.programs import find_program

@pytest.fixture(scope='session')
def server():
    return find_program('no-such-server')

@pytest.mark.parametrize('number', range(4))
def test_server(server, number): ...

def test_browser():
    find_program('no-such-browser')

def test_nothing(): ...
"""
STARTING = """
import subprocess
import pytest

@pytest.mark.process
def test_marked():
    subprocess.run(['true'])

def test_not_marked():
    subprocess.run(['true'])

@pytest.mark.parametrize('broker', ['memory', 'redis'])
def test_broker(broker):
    assert broker == 'memory'

@pytest.fixture
def processes():
    raise AssertionError

def test_fixture(processes): ...
"""


def run(directory: Path, code: str, *options: str, **environment: str) -> tuple[int, str]:
    """Run pytest on a file with that code; returns its exit code and what it prints."""
    (directory / 'test_it.py').write_text(code)
    inherited = {name: value for name, value in clean_environment().items() if name != 'NOT_TESTED'}
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-c', '/dev/null', '--rootdir', '.', '-p', 'no:cacheprovider', *options],
        cwd=directory,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize('options', [(), ('-n', '2')], ids=['alone', 'xdist'])
def test_a_laptop_skips_what_it_lacks_and_says_so_once(tmp_path: Path, options: tuple[str, ...]) -> None:
    code, output = run(tmp_path, NEEDY, '-p', 'tests.missing', *options, CI='')
    assert code == 0, output
    assert '1 passed, 5 skipped' in output
    assert output.count('4 tests need no-such-server (apt-get install no-such-server)\n') == 1
    assert output.count('1 test needs no-such-browser (apt-get install no-such-browser)\n') == 1


def test_ci_fails_what_it_lacks(tmp_path: Path) -> None:
    code, output = run(tmp_path, NEEDY, '-p', 'tests.missing', CI='true')
    assert code == 1
    assert '1 failed, 1 passed, 4 errors' in output
    assert 'no-such-server (apt-get install no-such-server)' in output


def test_the_summary_is_left_to_who_asks_for_it(tmp_path: Path) -> None:
    summary = tmp_path / 'summary'
    code, output = run(tmp_path, NEEDY, '-p', 'tests.missing', CI='', NOT_TESTED=str(summary))
    assert code == 0, output
    assert 'apt-get' not in output
    assert summary.read_text().splitlines() == [
        '1 test needs no-such-browser (apt-get install no-such-browser)',
        '4 tests need no-such-server (apt-get install no-such-server)',
    ]


def test_fast_leaves_out_what_starts_something_and_fails_what_does_so_unmarked(tmp_path: Path) -> None:
    code, output = run(tmp_path, STARTING, '-p', 'tests.fast', '--fast', '-W', 'ignore')
    assert code == 1
    assert '1 failed, 1 passed, 3 deselected' in output
    assert 'subprocess.Popen: mark this test with `process`' in output
