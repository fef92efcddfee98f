"""Celery: the parts of a task."""

import inspect
from typing import Any

from celery import Task
from celery.app.task import Context
from celery.local import Proxy


def own_backend(task: Task) -> Any:
    """Return the result backend of a task that has one of its own.

    It uses ``task._backend``. If the task has none, the public ``task.backend`` creates and returns the backend of the
    app, which may connect.

    :param task: the task.
    :returns: the backend, or `None` if the task uses the backend of its app.
    """
    own = inspect.getattr_static(task, 'backend')
    return task._backend if isinstance(own, property) else own


def accepted(task: Task) -> inspect.Signature:
    """Return the signature of the arguments that ``apply_async`` accepts for a task.

    It uses ``task.__header__``, which ``apply_async`` calls to check them. The signature of the public
    ``task.run`` does not serve: a decorator may take other arguments than the function that it wraps, and Celery wraps
    ``run`` itself if the task has ``autoretry_for``.

    :param task: the task.
    :returns: the signature. Celery checks no arguments for a task that is a class: for such a task, it is the signature
        of ``run``.
    """
    return inspect.signature(getattr(task, '__header__', task.run))


def is_shared(value: object) -> bool:
    """Tell whether a value comes from `celery.shared_task`: such a value stands for a task of the current app.

    It uses the class ``celery.local.Proxy``. A proxy passes `isinstance` and every access to an attribute on to
    its task, so only its type tells it from a task.

    :param value: the value that a module has under the name of a task.
    """
    return type(value) is Proxy


def bare_request(task_id: str, **attributes: Any) -> Any:
    """Make a request that says nothing but the id of its task.

    It uses the class ``celery.app.task.Context``. A result backend asks a request for attributes, and Celery has no
    public way to make one.

    :param task_id: the id.
    :param attributes: what else it says.
    """
    return Context(id=task_id, **attributes)
