"""A producer that only publishes does not pay for the libraries of a transport or of a result backend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rig.servers.environment import clean_environment

pytestmark = pytest.mark.process

EXPENSIVE = {'boto3', 'botocore', 'mock', 'psycopg2', 'pycurl', 'sqlalchemy'}
IMPORT = 'from cadasta.workertoolbox.conf import Config'


def expensive_modules_after(statement: str, directory: Path) -> set[str]:
    """The expensive modules that a fresh interpreter has imported after `statement`."""
    shown = subprocess.run(
        [sys.executable, '-c', f'{statement}\nimport sys\nprint(*sys.modules)'],
        cwd=directory,
        env=clean_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return EXPENSIVE & set(shown.stdout.split())


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
