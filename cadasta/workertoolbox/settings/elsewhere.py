"""The broker of an app that names it beside its `Config`, as ``Celery(broker=…)`` and ``app.conf.broker_url`` do."""

from collections.abc import Callable, Mapping
from typing import Any

from ..seams.celery_settings import OPTIONS
from .broker_options import URLS

# Celery asks for these when it sends a task, or stores a result. It would look for each of them here and in the
# `Config`, under three names, before it found its own default.
_ASKED = (
    'broker_pool_acquire_timeout',
    'result_extended',
    'task_always_eager',
    'task_repr_maxlevels',
    'task_send_sent_event',
)
_NAMES = frozenset({'broker_transport', 'broker_transport_options', 'task_queues', 'task_routes'})


class Elsewhere(dict[str, Any]):
    """The settings of a `Config`, where those that depend on the broker follow the broker that the app names.

    Celery looks here before it looks into the `Config`. The app may name its broker at any time, so each look for one
    of these settings reads what the app names now. If it names none, they are not here, and Celery finds them in the
    `Config`. All other settings do not change: Celery looks up some twenty of them for each message, and a dictionary
    answers fastest.

    :param settings: the settings of the `Config`.
    :param complete: gives the settings for the URLs that the app names.
    :param conf: the app's configuration, whose ``changes`` are what the app has of its own.

    >>> from types import SimpleNamespace
    >>> conf = SimpleNamespace(changes={})
    >>> found = Elsewhere({'QUEUES': ['export'], 'task_queues': []}, lambda urls: {'task_queues': [*urls]}, conf)
    >>> found['QUEUES'], 'task_queues' in found
    (['export'], False)
    >>> conf.changes['broker_url'] = 'redis://localhost'
    >>> found['task_queues']
    ['broker_url']
    """

    def __init__(
        self, settings: Mapping[str, Any], complete: Callable[[Mapping[str, Any]], Mapping[str, Any]], conf: Any
    ) -> None:
        given = {name: value for name, value in settings.items() if name not in _NAMES}
        super().__init__({name: OPTIONS[name].default for name in _ASKED} | given)
        self._complete = complete
        self._conf = conf
        self._urls: dict[str, Any] = {}
        self._settings: Mapping[str, Any] = {}

    def __missing__(self, name: str) -> Any:
        if name not in _NAMES:
            raise KeyError(name)
        return self._found()[name]

    def _found(self) -> Mapping[str, Any]:
        changes = self._conf.changes
        urls = {name: changes[name] for name in URLS if changes.get(name)}
        if urls != self._urls:
            self._settings = self._complete(urls) if urls else {}
            self._urls = urls
        return self._settings
