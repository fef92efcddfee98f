"""Whoever imports a part of the package does not pay for the libraries of the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rig.servers.environment import clean_environment

pytestmark = pytest.mark.process

EXPENSIVE = {'boto3', 'botocore', 'mock', 'psycopg2', 'pycurl', 'sqlalchemy'}
IMPORT = 'from cadasta.workertoolbox.conf import Config'


def modules_after(statement: str, directory: Path) -> set[str]:
    """The modules that a fresh interpreter has imported after `statement`."""
    shown = subprocess.run(
        [sys.executable, '-c', f'{statement}\nimport sys\nprint(*sys.modules)'],
        cwd=directory,
        env=clean_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return set(shown.stdout.split())


def expensive_modules_after(statement: str, directory: Path) -> set[str]:
    return EXPENSIVE & modules_after(statement, directory)


@pytest.mark.parametrize(
    'statement',
    [
        IMPORT,
        f'{IMPORT}\nConfig()',
        f'{IMPORT}\nimport celery\ncelery.Celery().config_from_object(Config())',
    ],
    ids=['import', 'Config', 'app'],
)
def test_config_imports_nothing_expensive(statement: str, tmp_path: Path) -> None:
    assert expensive_modules_after(statement, tmp_path) == set()


def test_an_expensive_import_would_be_noticed(tmp_path: Path) -> None:
    assert expensive_modules_after('import boto3, sqlalchemy.dialects.postgresql.psycopg2', tmp_path) == {
        'boto3',
        'botocore',
        'sqlalchemy',
    }


def parts(modules: set[str]) -> set[str]:
    """The parts of the package that are among modules."""
    return {name.split('.')[2] for name in modules if name.startswith('cadasta.workertoolbox.')}


def test_the_package_alone_imports_nothing(tmp_path: Path) -> None:
    loaded = modules_after('import cadasta.workertoolbox', tmp_path)
    assert 'cadasta.workertoolbox' in loaded
    assert parts(loaded) == set()
    assert not {'celery', 'kombu', *EXPENSIVE} & loaded


READER = 'from cadasta.workertoolbox import TrackedTasks; TrackedTasks("sqlite://")'


def test_the_reader_of_tasks_imports_no_source_and_no_library_of_a_broker(tmp_path: Path) -> None:
    loaded = modules_after(READER, tmp_path)
    assert 'tracked' in parts(loaded)
    assert not {'monitor', 'conf', 'rehearsal'} & parts(loaded)
    assert not {'amqp', 'boto3', 'botocore', 'kombu', 'redis'} & loaded


def test_the_page_imports_no_library_of_a_broker(tmp_path: Path) -> None:
    loaded = modules_after('import cadasta.workertoolbox.ui.app', tmp_path)
    assert 'ui' in parts(loaded)
    assert not {'amqp', 'boto3', 'botocore', 'kombu', 'redis'} & loaded


def test_the_sources_of_the_monitor_would_be_noticed(tmp_path: Path) -> None:
    loaded = modules_after('from cadasta.workertoolbox import Monitor', tmp_path)
    assert 'monitor' in parts(loaded)
    assert {'amqp', 'kombu'} <= loaded
