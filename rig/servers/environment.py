"""Make the environment of child processes. It has nothing of the caller's that could reach a real system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cadasta.workertoolbox

FOREIGN_PREFIXES = ('AWS_', 'CELERY_', 'RESULT_DB_', 'PG', 'RABBITMQ_')
FOREIGN_NAMES = ('QUEUE_PREFIX', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY')

# boto3 looks for credentials and a region before it speaks to the loopback server.
DUMMY_AWS = {
    'AWS_ACCESS_KEY_ID': 'key',
    'AWS_SECRET_ACCESS_KEY': 'secret',
    'AWS_DEFAULT_REGION': 'us-west-2',
    'AWS_EC2_METADATA_DISABLED': 'true',
    'AWS_CONFIG_FILE': os.devnull,
    'AWS_SHARED_CREDENTIALS_FILE': os.devnull,
}


def is_foreign(name: str) -> bool:
    return name.startswith(FOREIGN_PREFIXES) or name.upper() in FOREIGN_NAMES


def clean_environment(*directories: Path, **extra: str) -> dict[str, str]:
    """Returns an environment for a child process.

    :param directories: the directories to put on the child's import path, before the package that is tested
    :param extra: variables to add, such as `CELERY_REPORT='yes'`: reports come when workers like, and many tests count
        the messages of the platform queue
    """
    source = Path(next(iter(cadasta.workertoolbox.__path__))).parent.parent
    return {
        **{name: value for name, value in os.environ.items() if not is_foreign(name)},
        **DUMMY_AWS,
        'PYTHONPATH': os.pathsep.join([*map(str, directories), str(source)]),
        'PYTHONUNBUFFERED': '1',
        'CELERY_REPORT': 'no',
        'PATH': os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', os.defpath)]),
        **extra,
    }
