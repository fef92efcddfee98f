"""Read the settings that a subclass of `Config` has as attributes."""

from collections.abc import Iterator
from typing import Any

from ..errors import SettingError
from ..seams.celery_settings import OPTIONS
from .names import renamed


def settings_of(cls: type, base: type) -> dict[str, Any]:
    """Give the settings that are attributes of a class, or of a class between it and a base.

    A method is a setting only if Celery has a setting of that name.

    :param cls: the class.
    :param base: the class at which to stop.
    :returns: the settings; those of a subclass come before those of its bases.
    :raises SettingError: where a property computes an attribute.

    >>> class Base: QUEUES = ('msg',)
    >>> class Service(Base): QUEUE_PREFIX = 'prod'
    >>> settings_of(Service, object)
    {'QUEUES': ('msg',), 'QUEUE_NAME_PREFIX': 'prod'}
    """
    settings: dict[str, Any] = {}
    for klass in reversed(cls.__mro__[: cls.__mro__.index(base)]):
        settings.update(renamed(dict(_settings_in(klass))))
    return settings


def _settings_in(klass: type) -> Iterator[tuple[str, Any]]:
    for name in vars(klass):
        if name.startswith('_'):
            continue
        value = getattr(klass, name)
        if hasattr(value, '__get__') and not callable(value):
            raise SettingError(f'{klass.__name__}.{name} is computed, {value!r}: give it a value, or a keyword')
        if name in OPTIONS or not callable(value):
            yield name, value
