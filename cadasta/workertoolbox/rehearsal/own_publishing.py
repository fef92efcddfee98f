"""Publish the tasks of an app without its own methods for publishing, because these may leave something behind."""

from collections.abc import Collection
from types import MethodType
from typing import Any

from celery import Celery, Task


def replace_own_publishing(app: Celery, reported: Collection[str]) -> dict[str, list[str]]:
    """Let Celery's methods publish the tasks of a borrowed app.

    A method of the app's own may do more than publish. One that keeps a task from being sent twice takes a lock in
    Redis. The lock would stay after a rehearsal: no worker runs the task, so nothing frees the lock.

    :param app: the app, inside `borrowed`.
    :param reported: the names of the tasks to report.
    :returns: the methods that were replaced, each with the tasks that have it.
    """
    replaced: dict[str, list[str]] = {}
    for name, task in app.tasks.items():
        if (method := _replace(task, 'apply_async', Task)) and name in reported:
            replaced.setdefault(method, []).append(name)
    if method := _replace(app, 'send_task', Celery):
        replaced[method] = []
    return replaced


def _replace(owner: Any, name: str, celerys: type) -> str:
    """Replace a method by Celery's, until the app is given back.

    :returns: the name of the method. It is empty if the method was Celery's.
    """
    function = getattr(celerys, name)
    if getattr(getattr(owner, name), '__func__', None) is function:
        return ''
    # A method may also be an attribute of the object itself.
    definer = owner if name in vars(owner) else next(cls for cls in type(owner).__mro__ if name in vars(cls))
    vars(owner)[name] = MethodType(function, owner)
    return f'{definer.__qualname__ if isinstance(definer, type) else repr(definer)}.{name}'
