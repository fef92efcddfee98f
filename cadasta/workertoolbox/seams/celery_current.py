"""Celery: the apps of a process, and the one that code uses when it names no app."""

from collections.abc import Callable
from typing import Any

from celery import Celery, _state
from celery.local import Proxy


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


def loaded_by(app: Celery) -> Any:
    """Return the object that the loader of an app has loaded.

    It uses ``app.loader._conf``. The public ``app.loader.conf`` would load a configuration if there is none.

    :param app: the app.
    """
    return app.loader._conf


def default() -> Any:
    """Return the default app.

    It uses ``celery._state.default_app``. The public ``celery.app.default_app`` is a proxy, and not the app.

    :returns: the app, or `None` if the process has none yet.
    """
    return _state.default_app


def proxy_for(choose: Callable[[], Any]) -> Any:
    """Make a proxy for an app. It asks a function for the app each time that something is done with it.

    It uses the class ``celery.local.Proxy``, which Celery uses for ``current_app``, and describes among its internals.

    :param choose: gives the app.
    """
    return Proxy(choose)


def set_default(proxy: Any) -> None:
    """Make a proxy for an app the default app.

    It uses ``celery._state.set_default_app``. The public ``app.set_default()`` needs the app itself.

    :param proxy: the proxy.
    """
    _state.set_default_app(proxy)


def is_fallback(app: Any) -> bool:
    """Tell whether an app is the one that Celery makes when code asks for the default app, and there is none.

    It uses the arguments by which Celery makes that app, which has no mark.

    :param app: the app, or what stands in its place.
    """
    return isinstance(app, Celery) and (app.main, app.set_as_current, app.fixups) == ('default', False, [])
