"""Which names a setting may have: Celery's own, and any in upper case."""

import warnings
from collections.abc import Collection, Iterable
from typing import Any

from celery.app.defaults import _TO_NEW_KEY as NEW_NAMES

from ..errors import SettingError
from .environment import OPTIONS

# Celery's loader asks for it, and its table of options does not have it.
_READ_BY_LOADER = 'override_backends'


def renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """Give ``QUEUE_PREFIX`` the name that it has among the variables.

    :raises SettingError: where both spellings are given.

    >>> renamed({'QUEUE_PREFIX': 'prod'})
    {'QUEUE_NAME_PREFIX': 'prod'}
    """
    if 'QUEUE_PREFIX' not in settings:
        return settings
    if 'QUEUE_NAME_PREFIX' in settings:
        raise SettingError('QUEUE_PREFIX and QUEUE_NAME_PREFIX are one variable: give one of them')
    settings = dict(settings)
    return {'QUEUE_NAME_PREFIX': settings.pop('QUEUE_PREFIX'), **settings}


def check(names: Iterable[str], reserved: Collection[str]) -> None:
    """Refuse names that no setting can have, and warn of those that look misspelt.

    :param names: the names that somebody gave to settings.
    :param reserved: the names that `Config` uses itself.
    :raises SettingError: where a name is reserved, or of an old version of Celery.

    >>> check(['task_time_limit', 'MY_OWN'], [])
    """
    for name in names:
        new_name = NEW_NAMES.get(name, name.removeprefix('CELERY_').lower())
        if name.startswith('_') or name in reserved:
            raise SettingError(f'{name!r} cannot be the name of a setting: Config uses it itself')
        if name != new_name and new_name in OPTIONS:
            raise SettingError(f'{name} is no setting: Celery spells it {new_name} now')
        if name == name.lower() and name not in OPTIONS and name != _READ_BY_LOADER:
            from difflib import get_close_matches

            (closest,) = get_close_matches(name, OPTIONS, n=1, cutoff=0)
            # It blames the line that makes the Config.
            warnings.warn(f'Celery has no setting {name!r}. The closest is {closest!r}.', stacklevel=3)
