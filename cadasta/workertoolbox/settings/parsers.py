"""Check the values of variables, and make the error about a bad one."""

import re
from collections.abc import Sequence
from typing import Any

from ..architecture import FIFO
from ..errors import SettingError
from ..seams.celery_settings import truth_of
from .credentials import masked

_WORD = '[A-Za-z0-9_-]+'
_PLAIN_NAME = re.compile(rf'{_WORD}(?:{re.escape(FIFO)})?')
_DOTTED_NAME = re.compile(rf'{_WORD}(?:\.{_WORD})*')
_FIFO_ENDING = f"with '{FIFO}' at its end for a FIFO queue"
_QUEUE_PREFIX = re.compile(r'[A-Za-z0-9_-]*')
_HOST = re.compile(r'[^/@?#\s]*')


class FromEnvironment(str):
    """The name of a variable in the environment."""

    __slots__ = ()


def bad(name: str, value: Any, allowed: str) -> SettingError:
    """Make the error about a value that a setting cannot have.

    :param name: the name of the setting, or that of the variable in the environment that has the value.

    >>> bad('RESULT_DB_PORT', 'abc', 'a whole number from 1 to 65535')
    SettingError("RESULT_DB_PORT is 'abc': it must be a whole number from 1 to 65535")
    >>> bad(FromEnvironment('RESULT_DB_PORT'), 'abc', 'a whole number from 1 to 65535')
    SettingError("RESULT_DB_PORT is 'abc' in the environment: it must be a whole number from 1 to 65535")
    """
    where = ' in the environment' if isinstance(name, FromEnvironment) else ''
    return SettingError(f'{name} is {masked(value, name)!r}{where}: it must be {allowed}')


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
    if not isinstance(value, str) or not _PLAIN_NAME.fullmatch(value):
        raise bad(name, value, f"a name of letters, digits, '-' and '_', {_FIFO_ENDING}")
    return value


def is_dotted(value: str) -> bool:
    """Tell whether the name of a queue has a dot, apart from that of ``.fifo``.

    >>> is_dotted('export.high'), is_dotted('export.fifo')
    (True, False)
    """
    return '.' in value.removesuffix(FIFO)


def queue_names(name: str, value: Any) -> Sequence[str]:
    """Check that a value is a sequence of names of queues, and give it. Some brokers accept no name with a dot.

    >>> queue_names('QUEUES', ['export', 'msg.high'])
    ['export', 'msg.high']
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise bad(name, value, "a list of names, such as ['export', 'msg']")
    for item in value:
        if not isinstance(item, str) or not _DOTTED_NAME.fullmatch(item) or item.endswith(FIFO * 2):
            raise bad(name, item, f"a name of letters, digits, '-', '_' and single dots, {_FIFO_ENDING}")
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
    try:
        return value if isinstance(value, bool) else truth_of(str(value))
    except TypeError:
        raise bad(name, value, "one of 'true', 'false', 'yes', 'no', 'on', 'off', '1', '0'") from None
