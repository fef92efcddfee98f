"""The app that gets the tasks of code that names no app, such as a ``shared_task``.

In the thread that made an app, Celery gives such tasks to the app that was made last. In every other thread it gives
them to the default app of the process. If nobody has called ``set_default()``, it makes an app for that, without any
settings. Such an app would send the tasks to queues that nobody reads, and without a copy for the platform.
"""

import os
import threading
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.app import app_or_default

from .errors import NoCurrentApp
from .seams.celery_current import apps, default, is_fallback, loaded_by, proxy_for, set_default, source_of
from .topology import Topology

_fallback: Any = None


def has_config(app: Celery) -> bool:
    """Tell whether an app is configured by a `Config`, or will be.

    :param app: the app. This does not configure it.

    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export', set_as_current=False)
    >>> has_config(app)
    False
    >>> app.config_from_object(Config())
    >>> has_config(app)
    True
    """
    # An error in the configuration of an app is raised where the app is used.
    with suppress(Exception):
        return isinstance(getattr(source_of(app), 'topology', None), Topology)
    return False


def being_configured(config: Any) -> list[Celery]:
    """List the apps that have just taken an object for their configuration.

    :param config: the object.
    """
    return [app for app in apps() if loaded_by(app) is config]


def choose_default() -> None:
    """Let the app with a `Config` become the default app of this process, unless somebody has chosen another.

    The app may be there already, or be made later. It is looked for when a thread first needs it.
    """
    global _fallback
    known = default()
    if known is not _chosen and (known is None or (is_fallback(known) and not _has_settings(known))):
        _fallback = known
        set_default(_chosen)


def _choose() -> Any:
    global _fallback
    candidates = [app for app in apps() if app.set_as_current and has_config(app)]
    if len(candidates) == 1:
        candidates[0].set_default()
        return candidates[0]
    if _fallback is None:
        loader = os.environ.get('CELERY_LOADER') or 'default'
        _fallback = Celery('default', fixups=[], set_as_current=False, loader=loader)
    return _fallback


_chosen = proxy_for(_choose)


def refusal(name: str, app_id: str | None) -> NoCurrentApp | None:
    """Tell why a message is not sent that no `Config` has routed.

    It is refused if its app is the current app of this thread, and has no settings, and another app has a `Config`. An
    app that has any setting, or was made with ``set_as_current=False``, may send what it wants.

    :param name: the name of the task.
    :param app_id: the ``thread_oid`` of the app that sends it.
    :returns: the error to raise, or `None` if the message may be sent.
    """
    app = app_or_default()
    meant = _meant_instead_of(app) if app.thread_oid == app_id else []
    if not meant:
        return None
    current = 'none but one that Celery made' if is_fallback(app) else f'{app.main!r}, which has no settings'
    return NoCurrentApp(
        f'Task {name!r} was not sent: the code names no app, and the current app of this thread is {current}. Apps '
        f'with a Config are {", ".join(sorted(repr(each.main) for each in meant))}. Call set_default() of one of them, '
        'and make the apps that are not meant for such tasks with Celery(set_as_current=False). Or name the app: '
        'app.send_task(…), app.signature(…), @app.task.'
    )


def stray_app(app: Celery) -> Celery | None:
    """Find the app that silently gets what code in a new thread publishes without naming an app.

    :param app: the app that should get it.
    :returns: the other app, or `None` if all is well: it is this app or another with a `Config`, or the message is
        refused, or this app is not to be current at all.

    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export')
    >>> app.config_from_object(Config())
    >>> stray_app(app)
    """
    answers: list[Celery] = []
    thread = threading.Thread(target=lambda: answers.append(app_or_default()))
    thread.start()
    thread.join()
    found = answers[0]
    if found == app or not app.set_as_current or has_config(found) or _meant_instead_of(found):
        return None
    return found


def _meant_instead_of(app: Celery) -> list[Celery]:
    """List the apps with a `Config` that somebody may have meant who publishes by an app that nobody has set up."""
    is_made = not is_fallback(app)
    if (is_made and not app.set_as_current) or _has_settings(app):
        return []
    return [each for each in apps() if has_config(each) and (each.set_as_current or not is_made)]


def _has_settings(app: Celery) -> bool:
    return bool(app.conf.table().keys() - {'deprecated_settings'})
