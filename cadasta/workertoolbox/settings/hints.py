"""Tell what was given and has no effect, such as a misspelt name."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from typing import Any

from ..seams.celery_settings import NEW_NAMES, OPTIONS
from . import environment, variables
from .service_links import is_service_link
from .variables import VARIABLES

# Celery's loader asks for this setting, and Celery's table of options lacks it.
_READ_BY_LOADER = 'override_backends'
_RESULT_DB = 'RESULT_DB_'
# How alike two names must be, from 0 to 1. An unknown setting is always worth a warning, and so its suggestion may be
# less alike. An unknown variable may be one of the app's own.
_ALIKE, _VERY_ALIKE = 0.75, 0.84
# The names of RESULT_DB_* are compared without that beginning. The rest is short, so that one wrong letter weighs more.
_ALIKE_PART = 0.6
# Variables that somebody may set for this package alone, and forget the prefix. Other names are too common.
_WITHOUT_PREFIX = ('PLATFORM_QUEUE_NAME', 'CHORD_UNLOCK_MAX_RETRIES')
# The command line of Celery reads variables that begin so, as the options of these commands.
_COMMANDS = ('CELERY_WORKER_', 'CELERY_BEAT_', 'CELERY_EVENTS_', 'CELERY_MIGRATE_', 'CELERY_TOOLBOX_')
_DROPPED = {
    name: f'{name} has had no effect since 1.0: this package configures no logging. {instead}'
    for name, instead in {
        'SETUP_LOGGING': 'Celery does it, or app code with the signal celery.signals.setup_logging.',
        'SETUP_FILE_LOGGING': 'Start the worker with --logfile.',
        'SETUP_OPBEAT_LOGGING': 'Set up the client of your error tracker in the module of the app.',
        'SETUP_SENTRY_LOGGING': 'Call sentry_sdk.init() in the module of the app.',
    }.items()
}


def of_settings(given: Mapping[str, Any]) -> Iterator[str]:
    """Tell which keywords and attributes have no effect.

    :param given: the settings that were given, by their names.

    >>> list(of_settings({'QUEUE': ['export']}))  # doctest: +NORMALIZE_WHITESPACE
    ['Config does not know QUEUE. Did you mean QUEUES?
    If it is a variable of your own, give it a name that is less like QUEUES.']
    >>> list(of_settings({'task_tim_limit': 60}))
    ["Celery has no setting 'task_tim_limit'. The closest is 'task_time_limit'."]
    """
    if 'QUEUES' in given and given.get('task_queues') is not None:
        yield 'QUEUES has no effect where task_queues is given. Leave out one of them.'
    for name in given:
        if name in _DROPPED:
            yield _DROPPED[name]
        elif name == name.upper():
            meant = None if _is_used(name, given) else _variable_like(name)
            if meant is not None:
                yield (
                    f'Config does not know {name}. Did you mean {meant}? If it is a variable of your own, give it a '
                    f'name that is less like {meant}.'
                )
        elif name == name.lower() and name not in OPTIONS and name != _READ_BY_LOADER:
            meant = name.upper() if name.upper() in VARIABLES else _closest(name, OPTIONS, _ALIKE)
            yield f'Celery has no setting {name!r}.' + (f' The closest is {meant!r}.' if meant else '')
        elif name.upper() in VARIABLES:
            yield f'Config does not know {name}. Did you mean {name.upper()}?'


def of_environment(environ: Mapping[str, str], prefix: str, given: Container[str]) -> Iterator[str]:
    """Tell which variables of an environment have no effect, or another effect as well.

    :param environ: the environment, such as ``os.environ``.
    :param prefix: ``ENV_PREFIX``.
    :param given: the names of the settings that come before the environment.

    >>> list(of_environment({'RESULT_DB_PASSWORD': 'hush'}, 'CELERY_', []))
    ['RESULT_DB_PASSWORD in the environment has no effect. Did you mean RESULT_DB_PASS?']
    """
    names = {key: name for name in VARIABLES for key in variables.names_of(name, prefix)}
    names.update({f'{prefix}{name.upper()}': name for name in OPTIONS})
    for key in environ:
        meant = None if key in names or is_service_link(key, environ[key]) else _meant(key, prefix, names)
        if meant is not None and names.get(meant) not in given:
            yield f'{key} in the environment has no effect. Did you mean {meant}?'
    for name in VARIABLES:
        first, *others = variables.set_names(environ, name, prefix) or ['']
        for key in others:
            if name not in given and environ[key] != environ[first]:
                yield f'{key} in the environment has no effect, because {first} comes before it. Unset one of them.'
    for name, text in _DROPPED.items():
        if prefix + name in environ:
            yield f'{prefix}{text}'
    if prefix + 'BEAT_SCHEDULE' == environment.BEAT_SCHEDULE in environ and 'beat_schedule' not in given:
        yield environment.BEAT_COLLISION


def _meant(key: str, prefix: str, names: Mapping[str, str]) -> str | None:
    bare = key.removeprefix(prefix)
    if bare == 'QUEUE_NAME_PREFIX':
        return VARIABLES[bare].environment
    if key in _WITHOUT_PREFIX:
        return f'{prefix}{key}'
    has_prefix = bool(prefix) and key.startswith(prefix)
    if has_prefix and key in NEW_NAMES:
        return f'{prefix}{NEW_NAMES[key].upper()}'
    if bare.startswith(_RESULT_DB):
        return _variable_like(bare)
    if not has_prefix or key.startswith(_COMMANDS):
        return None
    return _closest(key, [name for name in names if name.startswith(prefix)], _VERY_ALIKE, prefix)


def _is_used(name: str, given: Mapping[str, Any]) -> bool:
    return f'{{0.{name}' in str(given.get('result_backend'))


def _variable_like(name: str) -> str | None:
    if name in VARIABLES:
        return None
    if name.startswith(_RESULT_DB):
        ours = [known for known in VARIABLES if known.startswith(_RESULT_DB)]
        longer = (known for known in ours if name.startswith(known))
        return next(longer, None) or _closest(name, ours, _ALIKE_PART, _RESULT_DB)
    return _closest(name, [*VARIABLES, 'QUEUE_PREFIX'], _VERY_ALIKE)


def _closest(name: str, names: Collection[str] | Iterable[str], alike: float, prefix: str = '') -> str | None:
    from difflib import get_close_matches

    bare = {known.removeprefix(prefix): known for known in names}
    found = get_close_matches(name.removeprefix(prefix), bare, n=1, cutoff=alike)
    return bare[found[0]] if found else None
