"""Check the values of variables, and make the error about a bad one."""

import re
from collections.abc import Sequence
from typing import Any

from ..architecture import FIFO
from ..errors import SettingError
from .credentials import masked

_QUEUE_NAME = re.compile(rf'[A-Za-z0-9_-]+(?:{re.escape(FIFO)})?')
_QUEUE_PREFIX = re.compile(r'[A-Za-z0-9_-]*')
_HOST = re.compile(r'[^/@?#\s]*')


def bad(name: str, value: Any, allowed: str) -> SettingError:
    """Make the error about a value that a setting cannot have.

    >>> bad('RESULT_DB_PORT', 'abc', 'a whole number from 1 to 65535')
    SettingError("RESULT_DB_PORT is 'abc': it must be a whole number from 1 to 65535")
    """
    return SettingError(f'{name} is {masked(value, name)!r}: it must be {allowed}')


def text(name: str, value: Any) -> str:
    """Check that a value is text, and give it.

    >>> text('ENV_PREFIX', 'CELERY_')
    'CELERY_'
    """
    if not isinstance(value, str):
        raise bad(name, value, 'text')
    return value


def queue_name(name: str, value: Any) -> str:
    """Check that every broker accepts a value as the name of a queue, and give it.

    >>> queue_name('PLATFORM_QUEUE_NAME', 'platform.fifo')
    'platform.fifo'
    """
    if not isinstance(value, str) or not _QUEUE_NAME.fullmatch(value):
        raise bad(name, value, "a name of letters, digits, '-' and '_', with '.fifo' at its end for a FIFO queue")
    return value


def queue_names(name: str, value: Any) -> Sequence[str]:
    """Check that a value is a sequence of names of queues, and give it.

    >>> queue_names('QUEUES', ['export', 'msg'])
    ['export', 'msg']
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise bad(name, value, "a list of names, such as ['export', 'msg']")
    for item in value:
        queue_name(name, item)
    return value


def prefix(name: str, value: Any) -> str:
    """Check that a value can be the prefix of the name of a queue, and give it.

    >>> prefix('QUEUE_NAME_PREFIX', 'prod')
    'prod'
    """
    if not isinstance(value, str) or not _QUEUE_PREFIX.fullmatch(value):
        raise bad(name, value, "letters, digits, '-' and '_'")
    return value


def host(name: str, value: Any) -> str:
    """Check that a value can be the host of a URL, and give it.

    >>> host('RESULT_DB_HOST', 'db.example.com')
    'db.example.com'
    """
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        shown = masked(f'://{value}').removeprefix('://')
        raise bad(name, shown, "a host name or address. For a socket, give result_backend with '?host=/directory'")
    return value


def port(name: str, value: Any) -> Any:
    """Check that a value is a port, as a number or as text, and give it.

    >>> port('RESULT_DB_PORT', '5432')
    '5432'
    """
    if not re.fullmatch(r'\d{1,5}', str(value)) or not 0 < int(value) < 2**16:
        raise bad(name, value, 'a whole number from 1 to 65535')
    return value


def retries(name: str, value: Any) -> int:
    """Check that a value is a number of retries, and give it.

    >>> retries('CHORD_UNLOCK_MAX_RETRIES', '10')
    10
    """
    if isinstance(value, bool) or not re.fullmatch(r'\d{1,9}', str(value)):
        raise bad(name, value, 'a whole number of retries')
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Check that a value is a flag, and give it as such.

    >>> flag('RUN_ONCE', 'no')
    False
    """
    if isinstance(value, bool):
        return value
    from .environment import cast

    flagged: bool = cast(name, str(value), 'bool')
    return flagged
