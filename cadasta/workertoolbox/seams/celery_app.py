"""Celery: the state of an app that its own methods set up once, and keep."""

import copy
from typing import Any

from celery import Celery
from celery.backends.base import BaseBackend
from kombu.connection import ConnectionPool
from kombu.pools import ProducerPool

# An AMQP API makes these when they are first needed, and binds them to itself or to its queues.
_BOUND_TO_AMQP = ('send_task_message', 'create_task_message', '_event_dispatcher', 'default_queue')


def states_of(app: Celery) -> list[dict[str, Any]]:
    """Name the mappings in which an app keeps its state: whoever restores them has the app as it was.

    It stands for ``app._local`` and ``app.conf.changes``. Celery has no way to copy an app or to undo its changes.

    :param app: the app.
    :returns: the mappings themselves: those of the app, its thread, loader, settings and tasks.
    """
    return [vars(app), vars(app._local), vars(app.loader), app.conf.changes, *map(vars, app.tasks.values())]


def observers_of(app: Celery) -> list[Any]:
    """Name the functions that Celery calls when a setting of an app changes.

    It stands for ``app.conf._observers``. ``app.conf.bind_to`` adds a function, and nothing takes one away.

    :param app: the app.
    :returns: the list itself.
    """
    observers: list[Any] = app.conf._observers
    return observers


def store_no_results(app: Celery) -> None:
    """Give an app a result backend that stores nothing.

    It stands for ``app._backend_cache``. The setting ``result_backend`` has no effect on an app that has a backend.

    :param app: the app.
    """
    app._backend_cache = BaseBackend(app, serializer='json')


def use_pool(app: Celery, connections: ConnectionPool) -> None:
    """Let an app take all connections and producers from a pool.

    It stands for ``app._pool`` and ``app.amqp._producer_pool``. Replacing the public ``app.producer_or_acquire`` would
    not serve: ``app.pool``, ``app.producer_pool`` and ``app.connection_or_acquire`` would lead to the app's own broker,
    and the ``apply_async`` of a task class may use them.

    :param app: the app.
    :param connections: the pool.
    """
    app._pool = connections
    app.amqp._producer_pool = ProducerPool(connections, limit=connections.limit)


def copied_amqp(app: Celery) -> Any:
    """Copy the app's AMQP API with all that was changed in it by hand, such as queues that were added.

    It stands for what an AMQP API caches, and for ``app.amqp.queues._consume_from`` and ``_default_consume_from``: a
    copy of the queues would share with them which queues a worker consumes. ``app.amqp_cls(app)`` would make an API
    from the settings, without what was changed by hand.

    :param app: the app.
    :returns: the copy. What is changed in it does not reach the app.
    """
    amqp = copy.copy(app.amqp)
    queues = copy.copy(app.amqp.queues)
    queues._default_consume_from = dict(queues._default_consume_from)
    if queues._consume_from is not None:
        queues._consume_from = dict(queues._consume_from)
    router = copy.copy(app.amqp.router)
    if router.queues is app.amqp.queues:
        router.queues = queues
    for name in _BOUND_TO_AMQP:
        vars(amqp).pop(name, None)
    vars(amqp).update(queues=queues, router=router)
    return amqp


def selected_queues(app: Celery) -> frozenset[str] | None:
    """Tell the queues that a worker was told to consume, by ``-Q`` or by ``app.select_queues``.

    It stands for ``app.amqp.queues._consume_from``. The public ``consume_from`` does not tell a worker that was told
    to consume all queues from one that was told nothing.

    :param app: the app.
    :returns: their names; nothing where the worker was told nothing.
    """
    selected = app.amqp.queues._consume_from
    return None if selected is None else frozenset(selected)
