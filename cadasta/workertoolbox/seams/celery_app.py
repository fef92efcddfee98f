"""Celery: the state that an app caches, such as its pools, its result backend and its AMQP API."""

import copy
from typing import Any

from celery import Celery
from celery.backends.base import BaseBackend
from celery.local import Proxy
from kombu.connection import ConnectionPool
from kombu.pools import ProducerPool

# An AMQP API caches these at first use, and each of them refers to that API or to its queues.
_BOUND_TO_AMQP = ('send_task_message', 'create_task_message', '_event_dispatcher', 'default_queue')


def app_itself(app: Celery) -> Celery:
    """Return the app that a proxy stands for, such as ``celery.current_app``.

    It uses the class ``celery.local.Proxy`` and its ``_get_current_object``. ``celery -A`` takes the first app in a
    module, which may be such a proxy. A proxy passes every access on to its app, but it is not its app.

    :param app: the app, or a proxy of it.
    """
    return app._get_current_object() if issubclass(type(app), Proxy) else app


def states_of(app: Celery) -> list[dict[str, Any]]:
    """List the mappings in which an app keeps its state. A caller who restores their contents restores the app.

    It uses ``app._local`` and ``app.conf.changes``. Celery has no way to copy an app or to undo its changes.

    :param app: the app.
    :returns: the mappings themselves, not copies: those of the app, its thread, loader, settings and tasks.
    """
    return [vars(app), vars(app._local), vars(app.loader), app.conf.changes, *map(vars, app.tasks.values())]


def observers_of(app: Celery) -> list[Any]:
    """List the functions that Celery calls when a setting of an app changes.

    It uses ``app.conf._observers``. ``app.conf.bind_to`` adds a function, and no public method removes one.

    :param app: the app.
    :returns: the list itself, not a copy.
    """
    observers: list[Any] = app.conf._observers
    return observers


def store_no_results(app: Celery) -> None:
    """Give an app a result backend that stores nothing.

    It uses ``app._backend_cache``. The setting ``result_backend`` has no effect on an app that has a backend.

    :param app: the app.
    """
    app._backend_cache = BaseBackend(app, serializer='json')


def use_pool(app: Celery, connections: ConnectionPool) -> None:
    """Let an app take all connections and producers from a pool.

    It uses ``app._pool`` and ``app.amqp._producer_pool``. A replacement of the public ``app.producer_or_acquire`` would
    not be enough: the ``apply_async`` of a task class may use ``app.pool``, ``app.producer_pool`` or
    ``app.connection_or_acquire``, and they would still connect to the app's own broker.

    :param app: the app.
    :param connections: the pool.
    """
    app._pool = connections
    app.amqp._producer_pool = ProducerPool(connections, limit=connections.limit)


def copied_amqp(app: Celery) -> Any:
    """Copy the app's AMQP API with all changes that code has made to it, such as added queues.

    It uses the cache of an AMQP API, and ``app.amqp.queues._consume_from`` and ``_default_consume_from``: the
    queues and their copy would otherwise share the selection of queues that a worker consumes. ``app.amqp_cls(app)``
    would make an API from the settings alone, without these changes.

    :param app: the app.
    :returns: the copy. A change of the copy does not change the app.
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
    """Tell the queues that ``-Q`` or ``app.select_queues`` has selected for a worker.

    It uses ``app.amqp.queues._consume_from``. The public ``consume_from`` returns the same if all queues are
    selected and if none is.

    :param app: the app.
    :returns: their names, or `None` if nothing has selected queues.
    """
    selected = app.amqp.queues._consume_from
    return None if selected is None else frozenset(selected)
