"""The broker of an app that names it beside its `Config`, as ``Celery(broker=…)`` and ``app.conf.broker_url`` do."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import broker_options


class Elsewhere(Mapping[str, Any]):
    """The settings of a transport. It is empty as long as the app names no broker of its own.

    Celery looks here before it looks into the `Config`. The app may name its broker at any time, so each look reads
    what the app names now.

    :param given: the settings that the `Config` was given, without those that it completes.
    :param changes: gives the settings that the app has of its own.

    >>> own = {}
    >>> settings = Elsewhere({'QUEUE_NAME_PREFIX': 'dev'}, lambda: own)
    >>> dict(settings)
    {}
    >>> own['broker_url'] = 'redis://localhost'
    >>> settings['broker_transport'], settings['broker_transport_options']['queue_name_prefix']
    (None, 'dev-')
    """

    _NAMES = ('broker_transport', 'broker_transport_options')

    def __init__(self, given: Mapping[str, Any], changes: Callable[[], Mapping[str, Any]]) -> None:
        self._given = given
        self._changes = changes

    def __getitem__(self, name: str) -> Any:
        if name not in self._NAMES:
            raise KeyError(name)
        return self._found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def _found(self) -> dict[str, Any]:
        changes = self._changes()
        urls = {name: changes[name] for name in broker_options.URLS if changes.get(name)}
        if not urls:
            return {}
        settings = {'broker_transport': None, **self._given, **urls}
        return {
            'broker_transport': settings['broker_transport'],
            **broker_options.completed(settings, os.environ),
        }
