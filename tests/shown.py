"""What the documents show is run: a test is named for it, and fails where it ends without having run it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mock  # noqa: UP026  # the name by which users know it

ROOT = Path(__file__).parents[1]

_DOCUMENTS = 'tests/unit/test_documents.py'

#: The tests that run the commands of the README, by their ids.
OF_README = {
    './quickstart': 'tests/test_quickstart.py::test_tracks_every_task_and_stores_every_result',
    'pip install cadasta-workertoolbox': 'tests/test_packaging.py::test_release',
    'python setup.py test clean build tag publish': 'tests/test_packaging.py::test_release',
    'celery -A export worker -Q export': f'{_DOCUMENTS}::test_worker_of_the_readme_runs',
    'python -m unittest export/tests.py': f'{_DOCUMENTS}::test_tests_of_the_readme_pass[unittest]',
    'pytest export/tests.py': f'{_DOCUMENTS}::test_tests_of_the_readme_pass[pytest]',
    'django-admin test export.tests': f'{_DOCUMENTS}::test_tests_of_the_readme_pass[django]',
    **dict.fromkeys(
        (
            'celery -A export toolbox tables --worker-role export --monitor-role monitor',
            'celery -A export toolbox monitor',
            'celery -A export toolbox check',
            'celery -A export toolbox topology',
            'celery -A export toolbox tasks --state failure --newer-than 1d',
            'celery -A export toolbox ui',
        ),
        f'{_DOCUMENTS}::test_platform_of_the_readme',
    ),
    'pip install --editable . -r requirements-docs.txt': f'{_DOCUMENTS}::test_requirements_of_the_readme[docs]',
    'pip install -r requirements-deploy.txt': f'{_DOCUMENTS}::test_requirements_of_the_readme[deploy]',
}

#: No test runs these: `./runtests` is what runs the tests, and it builds the manual itself.
NOT_BY_A_TEST = {'./runtests', 'sphinx-build docs build/docs'}

# The arguments of the processes that the present test has started.
_started: list[list[str]] = []


class _Noted(subprocess.Popen[Any]):
    def __init__(self, args: Any, *others: Any, **options: Any) -> None:
        _started.append(args.split() if isinstance(args, str) else [str(word) for word in args])
        super().__init__(args, *others, **options)


@contextmanager
def noting_processes(test: str) -> Iterator[None]:
    """Notes which processes a test starts, if it is named for commands."""
    _started.clear()
    if test not in OF_README.values():
        yield
        return
    with mock.patch.object(subprocess, 'Popen', _Noted):
        yield


def not_run(test: str) -> list[str]:
    """Tells which commands a test should have run and has not."""
    wanted = [command for command, by in OF_README.items() if by == test]
    return [command for command in wanted if not any(is_run_by(command, argv) for argv in _started)]


def unknown_tests(tests: Iterable[str]) -> list[str]:
    """Tells which ids are those of no test that pytest finds."""
    wanted = sorted(set(tests))
    files = sorted({test.partition('::')[0] for test in wanted})
    command = [sys.executable, '-m', 'pytest', '--collect-only', '-q', *files]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [test for test in wanted if test not in found]


def is_run_by(command: str, argv: list[str]) -> bool:
    """Tells whether a process runs a command, be it with more options and by the path of its program."""
    program, *words = command.split()
    left = iter(argv)
    # A program may be `python3.11`.
    is_started = any(Path(word).name.rstrip('.0123456789') == Path(program).name for word in left)
    return is_started and all(word in left for word in words)
