"""Settings from environment variables, cast to the types of Celery's own option table."""

import json
from collections.abc import Callable, Container, Mapping
from typing import Any

from ..errors import SettingError
from ..seams.celery_settings import OPTIONS, truth_of
from .credentials import masked

# Celery's table is wrong here: RabbitMQ refuses a priority that is text.
_TYPES = {'task_default_priority': 'int'}
# Celery itself reads these from the environment, and treats an empty one as not set.
_URLS = ('broker_url', 'broker_read_url', 'broker_write_url', 'result_backend')


#: ``celery beat`` reads this variable as its option ``--schedule``.
BEAT_SCHEDULE = 'CELERY_BEAT_SCHEDULE'
BEAT_COLLISION = (
    f'celery beat itself takes {BEAT_SCHEDULE} for its option --schedule, the name of the file in which it keeps its '
    'schedule. Give beat_schedule as a keyword of Config, or give Config another ENV_PREFIX.'
)


def read(environ: Mapping[str, str], prefix: str, given: Container[str] = ()) -> dict[str, Any]:
    """Read Celery settings from an environment.

    :param environ: the environment, such as ``os.environ``.
    :param prefix: the text before the upper-case name of a setting, such as ``CELERY_``.
    :param given: the names of settings that come before the environment. They are not read.
    :returns: the settings that the environment has, by their lower-case names.
    :raises SettingError: where a value does not parse as the setting's type.

    >>> read({'CELERY_TASK_TIME_LIMIT': '60', 'CELERY_LOG_LEVEL': '20'}, 'CELERY_')
    {'task_time_limit': 60.0}
    """
    values = {}
    for name, option in OPTIONS.items():
        variable = prefix + name.upper()
        text = environ.get(variable)
        if name not in given and (text or (text is not None and name not in _URLS)):
            values[name] = cast(variable, text, _TYPES.get(name, option.type))
    return values


def cast(variable: str, text: str, type_: str | type) -> Any:
    """Cast the text of an environment variable to the type of a Celery option.

    :param variable: the name of the variable, for the error.
    :param text: its value.
    :param type_: a type of Celery's option table: ``'int'``, ``'float'``, ``'bool'``, ``'dict'``, ``'list'``,
        ``'tuple'``, ``'any'``, or a kind of string.
    :returns: the value.
    :raises SettingError: where the text does not parse; it names the variable and what is allowed.

    >>> cast('CELERY_ACCEPT_CONTENT', '["json"]', 'list')
    ['json']
    """
    kind = type_ if isinstance(type_, str) else type_.__name__
    parse, allowed = _CASTS.get(kind, (str, 'text'))
    try:
        return parse(text)
    except (TypeError, ValueError, RecursionError):
        shown = masked(text, variable) if kind in _SCALARS else '…'
        why = f'. {BEAT_COLLISION}' if variable == BEAT_SCHEDULE else ''
        raise SettingError(f'{variable}={shown!r} in the environment is not {allowed}{why}') from None


def _json(expected: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, expected):
            raise TypeError(f'not a {expected.__name__}')
        return value

    return parse


def _any(text: str) -> Any:
    return json.loads(text) if text.startswith(('{', '[')) else text


_SCALARS = ('int', 'float', 'bool')
_CASTS: dict[str, tuple[Callable[[str], Any], str]] = {
    'int': (int, 'a whole number'),
    'float': (float, 'a number'),
    'bool': (truth_of, "one of 'true', 'false', 'yes', 'no', 'on', 'off', '1', '0'"),
    'bytes': (str.encode, 'text'),
    'dict': (_json(dict), 'a JSON object, such as {"key": "value"}'),
    'list': (_json(list), 'a JSON list, such as ["one", "two"]'),
    'tuple': (lambda text: tuple(_json(list)(text)), 'a JSON list, such as ["one", "two"]'),
    'any': (_any, 'text, or JSON where it starts with { or ['),
}
