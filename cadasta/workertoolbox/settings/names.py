"""The names that a setting may have: Celery's own, and any in upper case."""

from collections.abc import Collection, Iterable
from typing import Any

from ..errors import SettingError
from ..seams.celery_settings import NEW_NAMES, OPTIONS


def renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """Rename ``QUEUE_PREFIX`` to ``QUEUE_NAME_PREFIX``.

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
    """Refuse names that no setting can have.

    :param names: the names of the settings that were given.
    :param reserved: the names that `Config` uses itself.
    :raises SettingError: where a name is reserved, or an old spelling of Celery's.

    >>> check(['task_time_limit', 'MY_OWN'], [])
    """
    for name in names:
        new_name = NEW_NAMES.get(name, name.removeprefix('CELERY_').lower())
        if name.startswith('_') or name in reserved:
            raise SettingError(f'{name!r} cannot be the name of a setting: Config uses it itself')
        if name != new_name and new_name in OPTIONS:
            raise SettingError(f'{name} is no setting: Celery spells it {new_name} now')
