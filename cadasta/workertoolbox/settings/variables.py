"""The variables of a `Config`: settings that Celery does not know, in upper case."""

from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple

from .. import DEFAULT_QUEUES
from ..architecture import PLATFORM_QUEUE
from . import environment, parsers
from .service_links import is_service_link


class Variable(NamedTuple):
    """A variable.

    :param default: its value where nobody gives one.
    :param parse: checks its name and value, and gives the value.
    :param environment: its name in the environment; ``ENV_PREFIX`` and its own name where this is `None`. In the
        releases 0.4 to 0.6, ``ENV_PREFIX`` came before this name too, and such a name still works.
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
    'FAIR_QUEUES': Variable(False, parsers.flag),
    'REPORT': Variable(True, parsers.flag),
    'ENV_PREFIX': Variable('CELERY_'),
}
#: The name of ``ENV_PREFIX`` in the environment.
PREFIX_NAME = 'CELERY_ENV_PREFIX'


def defaults() -> dict[str, Any]:
    """Give all variables with their defaults.

    >>> defaults()['QUEUES']
    ('msg', 'export')
    """
    return {name: variable.default for name, variable in VARIABLES.items()}


def prefix_of(given: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Give ``ENV_PREFIX``.

    :param given: the settings that come before the environment.
    :param environ: the environment, such as ``os.environ``.
    :raises SettingError: where it is no text.

    >>> prefix_of({}, {'CELERY_ENV_PREFIX': 'EXPORT_'}), prefix_of({}, {})
    ('EXPORT_', 'CELERY_')
    """
    default = environ.get(PREFIX_NAME, VARIABLES['ENV_PREFIX'].default)
    return parsers.text('ENV_PREFIX', given.get('ENV_PREFIX', default))


def names_of(name: str, prefix: str) -> tuple[str, ...]:
    """Give the names that a variable may have in the environment. The first of them comes first.

    >>> names_of('RUN_ONCE', 'EXPORT_'), names_of('QUEUE_NAME_PREFIX', 'CELERY_')
    (('EXPORT_RUN_ONCE',), ('QUEUE_PREFIX', 'CELERY_QUEUE_PREFIX'))
    """
    if name == 'ENV_PREFIX':
        return (PREFIX_NAME,)
    own = VARIABLES[name].environment
    return (f'{prefix}{name}',) if own is None else (own, f'{prefix}{own}')


def set_names(environ: Mapping[str, str], name: str, prefix: str) -> list[str]:
    """Give the names by which somebody has set a variable in an environment, and not Kubernetes.

    >>> set_names({'RESULT_DB_PORT': 'tcp://10.0.0.7:80', 'CELERY_RESULT_DB_PORT': '6432'}, 'RESULT_DB_PORT', 'CELERY_')
    ['CELERY_RESULT_DB_PORT']
    """
    return [key for key in names_of(name, prefix) if key in environ and not is_service_link(key, environ[key])]


def read(environ: Mapping[str, str], prefix: str, given: Container[str] = ()) -> dict[str, Any]:
    """Read variables from an environment, and check them.

    :param environ: the environment, such as ``os.environ``.
    :param prefix: the text before the name of a variable that has no name of its own in the environment.
    :param given: the names of variables that come before the environment. They are not read.
    :returns: the variables that the environment has.
    :raises SettingError: where a variable cannot have its value; it has the name in the environment.

    >>> read({'CELERY_QUEUES': '["export"]', 'QUEUE_PREFIX': 'prod'}, 'CELERY_')
    {'QUEUES': ['export'], 'QUEUE_NAME_PREFIX': 'prod'}
    """
    found: dict[str, Any] = {}
    for name, variable in VARIABLES.items():
        if name in given:
            continue
        key = next(iter(set_names(environ, name, prefix)), None)
        if key is not None:
            value = environment.cast(key, environ[key], 'list') if name == 'QUEUES' else environ[key]
            found[name] = variable.parse(parsers.FromEnvironment(key), value)
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
