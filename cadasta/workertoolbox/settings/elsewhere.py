"""The broker of an app that names it beside its `Config`, as ``Celery(broker=…)`` and ``app.conf.broker_url`` do."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .broker_options import URLS

_NAMES = frozenset({'broker_transport', 'broker_transport_options', 'task_queues', 'task_routes'})


class Elsewhere(Mapping[str, Any]):
    """The settings that depend on the broker. It is empty as long as the app names no broker of its own.

    Celery looks here before it looks into the `Config`. The app may name its broker at any time, so each look reads
    what the app names now.

    :param complete: gives the settings for the URLs that the app names.
    :param conf: the app's configuration, whose ``changes`` are what the app has of its own.

    >>> from types import SimpleNamespace
    >>> conf = SimpleNamespace(changes={})
    >>> settings = Elsewhere(lambda urls: {'broker_transport': None}, conf)
    >>> dict(settings)
    {}
    >>> conf.changes['broker_url'] = 'redis://localhost'
    >>> dict(settings)
    {'broker_transport': None}
    """

    def __init__(self, complete: Callable[[Mapping[str, Any]], Mapping[str, Any]], conf: Any) -> None:
        self._complete = complete
        self._conf = conf
        self._urls: dict[str, Any] = {}
        self._settings: Mapping[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        # Celery looks up some twenty settings for each message, and nearly none of them is here.
        if name not in _NAMES:
            raise KeyError(name)
        return self._found()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def _found(self) -> Mapping[str, Any]:
        changes = self._conf.changes
        urls = {name: changes[name] for name in URLS if changes.get(name)}
        if urls != self._urls:
            self._settings = self._complete(urls) if urls else {}
            self._urls = urls
        return self._settings
