"""Makes the types of all settings out of Celery's own table: `python -m tests.typing.generate`.

Run it after an upgrade of Celery, when a test says that the table has changed.
"""

from __future__ import annotations

from pathlib import Path

import celery

import cadasta.workertoolbox
from cadasta.workertoolbox.seams.celery_settings import OPTIONS

PATH = Path(cadasta.workertoolbox.__file__).parent / 'settings' / 'typed.py'

_HEADER = '''\
"""The types of settings, for type checkers alone: those of Celery {version}, and the variables of `Config`.

Made by ``python -m tests.typing.generate``. Change that program, and not this file.
"""

from collections.abc import Mapping
from datetime import timedelta, tzinfo
from typing import Any, TypedDict

_Names = list[str] | tuple[str, ...]
_Path = str | type[Any]
'''
_KEYWORDS = '''

class Keywords(TypedDict, total=False):
    """The keywords that `Config` takes, beside ``QUEUES``."""

'''
_BASE = '''

class Base(Mapping[str, Any]):
    """The attributes that a `Config` has."""

'''

#: The types of Celery's table.
_TYPES = {
    'any': 'Any',
    'bool': 'bool | None',
    'bytes': 'bytes | str | None',
    'dict': 'Mapping[str, Any] | None',
    'float': 'float | None',
    'int': 'int | None',
    'list': '_Names | None',
    'str': 'str | None',
    'string': 'str | None',
    'tuple': '_Names | None',
}

_PATHS = (
    'beat_scheduler',
    'broker_transport',
    'worker_agent',
    'worker_autoscaler',
    'worker_consumer',
    'worker_pool',
    'worker_timer',
)

#: Celery takes more for these than its table says, or something else.
_OTHERS = {
    **dict.fromkeys(_PATHS, '_Path | None'),
    **dict.fromkeys(('broker_url', 'broker_read_url', 'broker_write_url'), 'str | _Names | None'),
    **dict.fromkeys(('broker_use_ssl', 'redis_backend_use_ssl'), 'bool | Mapping[str, Any] | None'),
    **dict.fromkeys(('result_expires', 'result_chord_expires', 'result_failure_expires'), 'float | timedelta | None'),
    'accept_content': '_Names | set[str] | frozenset[str] | None',
    'broker_failover_strategy': 'Any',
    'broker_heartbeat': 'float | None',
    'broker_heartbeat_checkrate': 'float | None',
    'cassandra_auth_kwargs': 'Mapping[str, Any] | None',
    'cassandra_port': 'int | str | None',
    'result_accept_content': '_Names | set[str] | frozenset[str] | None',
    'result_backend': 'str | type[Any] | None',
    'task_default_delivery_mode': 'int | str | None',
    'task_default_priority': 'int | None',
    'task_default_rate_limit': 'float | str | None',
    'task_queues': 'Any',
    'timezone': 'str | tzinfo | None',
    'worker_concurrency': 'int | str | None',
    'worker_redirect_stdouts_level': 'int | str | None',
}

#: Celery's table lacks these. Celery's loader asks for the first.
OURS = {
    'override_backends': 'Mapping[str, str]',
    'PLATFORM_QUEUE_NAME': 'str',
    'QUEUE_NAME_PREFIX': 'str',
    'RESULT_DB_USER': 'str',
    'RESULT_DB_PASS': 'str',
    'RESULT_DB_HOST': 'str',
    'RESULT_DB_PORT': 'int | str',
    'RESULT_DB_NAME': 'str',
    'CHORD_UNLOCK_MAX_RETRIES': 'int',
    'RUN_ONCE': 'bool',
    'FAIR_QUEUES': 'bool',
    'REPORT': 'bool',
    'ENV_PREFIX': 'str',
}

#: Attributes that every `Config` has.
_SET = {
    'QUEUES': '_Names',
    'broker_transport_options': 'Mapping[str, Any]',
    'task_default_exchange': 'str',
    'task_default_exchange_type': 'str',
}


def types_of_settings() -> dict[str, str]:
    """Give the types of what both keywords and attributes may be."""
    celerys = {
        name: _OTHERS.get(name) or _TYPES.get(kind_of(option.type), 'Any') for name, option in sorted(OPTIONS.items())
    }
    return {**celerys, **OURS}


def kind_of(type_: str | type) -> str:
    return type_ if isinstance(type_, str) else type_.__name__


def module() -> str:
    """Give the text of the module."""
    settings = types_of_settings()
    keywords = {**settings, 'QUEUE_PREFIX': 'str'}
    return ''.join(
        [
            _HEADER.format(version=celery.__version__),
            _KEYWORDS,
            *lines(keywords),
            _BASE,
            *lines({**settings, **_SET}),
        ]
    )


def lines(types: dict[str, str]) -> list[str]:
    return [f'    {name}: {type_}\n' for name, type_ in types.items()]


if __name__ == '__main__':
    PATH.write_text(module())
