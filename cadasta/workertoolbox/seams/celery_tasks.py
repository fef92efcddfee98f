"""Celery: what a task is made of."""

import inspect
from typing import Any

from celery import Task
from celery.local import Proxy


def own_backend(task: Task) -> Any:
    """Tell the result backend that was given to a task itself.

    It stands for ``task._backend``. The public ``task.backend`` answers with the backend of the app where the task has
    none, and makes that backend, which may connect.

    :param task: the task.
    :returns: the backend; nothing where the task uses that of its app.
    """
    own = inspect.getattr_static(task, 'backend')
    return task._backend if isinstance(own, property) else own


def accepted(task: Task) -> inspect.Signature:
    """Tell the arguments that ``apply_async`` accepts for a task.

    It stands for ``task.__header__``, which ``apply_async`` calls to check them. The signature of the public
    ``task.run`` does not serve: a decorator may take other arguments than the function that it wraps, and Celery wraps
    ``run`` itself where a task is retried automatically.

    :param task: the task.
    :returns: the signature. Celery checks nothing for a task that is a class: there, it is the signature of ``run``.
    """
    return inspect.signature(getattr(task, '__header__', task.run))


def is_shared(value: object) -> bool:
    """Tell whether something is what `celery.shared_task` returns: it stands for a task of whichever app is current.

    It stands for the class ``celery.local.Proxy``. To `isinstance` and to every attribute, a proxy is the task itself.

    :param value: what a module has under the name of a task.
    """
    return type(value) is Proxy
