"""Celery: the app of a process that code uses when it names no app."""

from collections.abc import Callable
from typing import Any

from celery import Celery, _state

#: Tells which app is current, by the app that this thread has as its own, and whether somebody chose that app.
#: `None` leaves it to the default app.
Choose = Callable[[Celery | None, bool], Celery | None]

_OWN, _CHOSEN = 'current_app', 'current_app_is_chosen'


class _Current:
    def __init__(self, choose: Choose) -> None:
        self._choose = choose

    def __get__(self, local: Any, owner: type) -> Any:
        if local is None:
            return None
        values = vars(local)
        return self._choose(values.get(_OWN), values.get(_CHOSEN, False))

    def __set__(self, local: Any, app: Any) -> None:
        # The constructor of an app makes the app current before it makes this signal. Later somebody chooses the app.
        is_chosen = getattr(app, 'on_after_configure', None) is not None
        vars(local).update({_OWN: app, _CHOSEN: is_chosen})


def choose_current(choose: Choose) -> None:
    """Let a function choose the current app.

    It replaces ``current_app`` of the class of ``celery._state._tls``. Each thread has an attribute of that name, and
    Celery takes the default app in a thread that has not set it. Celery has no public way to tell it another app:
    ``app.set_default()`` needs a caller who knows that the app is there, and an app is configured when somebody first
    reads a setting, which may be later.

    :param choose: the function.
    """
    _state._TLS.current_app = _Current(choose)


def current() -> Any:
    """Return the current app.

    It uses ``celery._state.get_current_app``. The public ``celery.current_app`` is a proxy, and not the app.
    """
    return _state.get_current_app()


def default() -> Any:
    """Return the default app.

    It uses ``celery._state.default_app``. The public ``celery.app.default_app`` is a proxy, and not the app.

    :returns: the app, or `None` if the process has none yet.
    """
    return _state.default_app


def is_fallback(app: Any) -> bool:
    """Tell whether an app is the one that Celery makes when a process has no default app, and nobody has configured it.

    It uses the arguments by which Celery makes that app, which has no mark, and the name of a setting that every app
    has.

    :param app: the app.
    """
    made_by_celery = (app.main, app.set_as_current, app.fixups) == ('default', False, [])
    return made_by_celery and app.conf.table().keys() <= {'deprecated_settings'}


def apps() -> list[Celery]:
    """List the apps of the process.

    It uses ``celery._state._get_active_apps``. Celery has no public list of apps.
    """
    # Another thread may make an app while this one reads the set, and Python raises a RuntimeError then.
    while True:
        try:
            return list(_state._get_active_apps())
        except RuntimeError:
            continue


def source_of(app: Celery) -> Any:
    """Return the object that configures an app. This configures no app.

    It uses ``app._config_source`` and ``app.loader._smart_import``. The public ``app.conf`` would configure the app,
    and would give the settings, but not the object that has them.

    :param app: the app.
    :returns: the object, or `None` if the app has none.
    """
    source = app.loader.conf if app.configured else app._config_source
    if isinstance(source, str):
        source = app.loader._smart_import(source, imp=app.loader.import_from_cwd)
    return source


def being_configured(source: Any) -> list[Celery]:
    """List the apps that an object is about to configure: they look up a setting in it, and have no settings yet.

    It uses ``app._conf`` and ``app.loader._conf``. An app tells its configuration nothing about itself.

    :param source: the object.
    """
    return [app for app in apps() if app.loader._conf is source and (app._conf is None or not app.configured)]


def add_defaults(app: Celery, defaults: Any) -> None:
    """Let an app that is about to be configured look into a mapping before it looks into its configuration.

    It uses ``app._pending_defaults``. The public ``add_defaults`` fails if the app is configured a second time.

    :param app: the app.
    :param defaults: the mapping.
    """
    app._pending_defaults.append(lambda: defaults)
