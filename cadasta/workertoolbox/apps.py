"""The app that gets the tasks of code that names no app, such as a ``shared_task``.

In the thread that made an app, Celery gives such tasks to the app that was made last. In every other thread it gives
them to the default app of the process. If nobody has called ``set_default()``, it makes an app for that, without any
configuration. That app would send the tasks to queues that nobody reads, and without a copy for the platform.
"""

import threading
from contextlib import suppress
from typing import Any

from celery import Celery

from .errors import NoCurrentApp
from .seams.celery_current import apps, choose_current, current, default, is_fallback, source_of
from .topology import Topology


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


def stray_app(app: Celery) -> Celery | None:
    """Find the app that silently gets what code in a new thread publishes without naming an app.

    :param app: the app that should get it.
    :returns: the other app, or `None` if all is well: it is this app or another with a `Config`, or an error is raised,
        or this app is not to be current at all.

    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export')
    >>> app.config_from_object(Config())
    >>> stray_app(app)
    """
    answers: list[Celery] = []
    thread = threading.Thread(target=lambda: answers.append(current()))
    thread.start()
    thread.join()
    found = answers[0]
    if found is app or not app.set_as_current or has_config(found):
        return None
    return None if is_fallback(found) and _configured() else found


def _configured() -> list[Celery]:
    return [app for app in apps() if has_config(app)]


def _choose(own: Celery | None, is_chosen: bool) -> Celery | None:
    if own is not None and (is_chosen or has_config(own)) and not is_fallback(own):
        return own
    known = default()
    if known is None:
        # Celery makes its default app before it asks.
        return own
    if not is_fallback(known):
        return known if has_config(known) else own
    candidates = [app for app in _configured() if app.set_as_current]
    if len(candidates) == 1:
        return candidates[0]
    _guard(known)
    return None if candidates else own


def _guard(fallback: Any) -> None:
    if 'send_task' in vars(fallback):
        return
    send_task = fallback.send_task

    def guarded(name: str, *args: Any, **options: Any) -> Any:
        if is_fallback(fallback) and (known := _configured()):
            names = ', '.join(sorted(f'{app.main!r}' for app in known))
            raise NoCurrentApp(
                f'Task {name!r} was not sent: the code names no app, this thread has no current app, and the process '
                f'has no default app. Apps with a Config are {names}. Call set_default() of one of them, or send the '
                'task by its app: app.send_task(…), app.signature(…), @app.task.'
            )
        return send_task(name, *args, **options)

    fallback.send_task = guarded


choose_current(_choose)
