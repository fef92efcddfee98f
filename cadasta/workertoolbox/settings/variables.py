"""The variables of a `Config`: settings that Celery does not know, in upper case."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .. import DEFAULT_QUEUES
from ..architecture import PLATFORM_QUEUE
from . import environment, parsers


class Variable(NamedTuple):
    """A variable.

    :param default: its value where nobody gives one.
    :param parse: checks its name and value, and gives the value.
    :param environment: its name in the environment; ``ENV_PREFIX`` and its own name where this is `None`.
    """

    default: Any
    parse: Callable[[str, Any], Any] = parsers.text
    environment: str | None = None


VARIABLES = {
    'QUEUES': Variable(DEFAULT_QUEUES, parsers.queue_names),
    'PLATFORM_QUEUE_NAME': Variable(PLATFORM_QUEUE, parsers.queue_name),
    'QUEUE_NAME_PREFIX': Variable('dev', parsers.prefix, 'QUEUE_PREFIX'),
    'RESULT_DB_USER': Variable('cadasta', environment='RESULT_DB_USER'),
    'RESULT_DB_PASS': Variable('cadasta', environment='RESULT_DB_PASS'),
    'RESULT_DB_HOST': Variable('localhost', parsers.host, 'RESULT_DB_HOST'),
    'RESULT_DB_PORT': Variable('5432', parsers.port, 'RESULT_DB_PORT'),
    'RESULT_DB_NAME': Variable('cadasta', environment='RESULT_DB_NAME'),
    'CHORD_UNLOCK_MAX_RETRIES': Variable(43200, parsers.retries),
    'RUN_ONCE': Variable(True, parsers.flag),
    'ENV_PREFIX': Variable('CELERY_'),
}


def defaults() -> dict[str, Any]:
    """Give all variables with their defaults.

    >>> defaults()['QUEUES']
    ('msg', 'export')
    """
    return {name: variable.default for name, variable in VARIABLES.items()}


def read(environ: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """Read variables from an environment.

    :param environ: the environment, such as ``os.environ``.
    :param prefix: the text before the name of a variable that has no name of its own in the environment.
    :returns: the variables that the environment has.

    >>> read({'CELERY_QUEUES': '["export"]', 'QUEUE_PREFIX': 'prod'}, 'CELERY_')
    {'QUEUES': ['export'], 'QUEUE_NAME_PREFIX': 'prod'}
    """
    found: dict[str, Any] = {}
    for name, variable in VARIABLES.items():
        key = variable.environment or prefix + name
        if name != 'ENV_PREFIX' and key in environ:
            found[name] = environment.cast(key, environ[key], 'list') if name == 'QUEUES' else environ[key]
    return found


def parsed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check all variables.

    :param settings: settings, all variables among them.
    :returns: the variables.
    :raises SettingError: where a variable cannot have its value.

    >>> parsed({**defaults(), 'CHORD_UNLOCK_MAX_RETRIES': '7'})['CHORD_UNLOCK_MAX_RETRIES']
    7
    """
    return {name: variable.parse(name, settings[name]) for name, variable in VARIABLES.items()}
