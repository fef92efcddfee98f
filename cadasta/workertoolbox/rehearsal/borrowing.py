"""Borrow an app: what happens to it, and to the process for its sake, is undone afterwards."""

import copy
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from celery import Celery, signals
from celery.backends.base import BaseBackend
from celery.fixups.django import DjangoFixup
from celery.utils.dispatch import Signal
from kombu.pools import ProducerPool

from .memory_broker import Broker

_SIGNALS = [value for value in vars(signals).values() if isinstance(value, Signal)]

#: Their receivers would take the messages of the tests for tasks that were sent.
_ABOUT_SENDING = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)


@contextmanager
def borrowed(app: Celery) -> Iterator[None]:
    """Let an app be changed, and undo that at the end.

    The app's AMQP API is a copy, its result backend one that stores nothing, and nobody hears of tasks that are sent.

    :param app: the app, with its task modules imported.
    """
    with ExitStack() as stack:
        kept = [vars(app), vars(app._local), vars(app.loader), app.conf.changes, *map(vars, app.tasks.values())]
        for values in kept:
            stack.enter_context(_restored(values))
        stack.callback(app.conf._observers.__setitem__, slice(None), list(app.conf._observers))
        for signal in _SIGNALS:
            stack.callback(signal.receivers.__setitem__, slice(None), list(signal.receivers))
        stack.enter_context(_restored(vars(app.amqp)))

        app.__dict__['amqp'] = _copied_amqp(app)
        app._backend_cache = BaseBackend(app, serializer='json')
        app.conf.task_always_eager = False
        app.conf.task_send_sent_event = False
        # There is nothing to wait for: a broker in memory never fails.
        app.conf.task_publish_retry = False
        for signal in _ABOUT_SENDING:
            signal.receivers.clear()
        signals.worker_init.receivers[:] = [
            entry for entry in signals.worker_init.receivers if not _closes_django_connections(entry[1])
        ]
        yield


@contextmanager
def redirected(app: Celery, broker: Broker) -> Iterator[None]:
    """Connect a borrowed app to another broker.

    :param app: the app, inside `borrowed`.
    :param broker: where its messages go.
    """
    app.amqp.Connection = lambda *args, **kwargs: broker.connection()
    app._pool = broker.connection().Pool(limit=10)
    app.amqp._producer_pool = ProducerPool(app._pool, limit=10)
    try:
        yield
    finally:
        app.amqp._producer_pool.force_close_all()
        app._pool.force_close_all()


@contextmanager
def _restored(values: dict[str, Any]) -> Iterator[None]:
    saved = dict(values)
    try:
        yield
    finally:
        for name in values.keys() - saved.keys():
            del values[name]
        values.update(saved)


def _copied_amqp(app: Celery) -> Any:
    """Copy the app's AMQP API with all that was changed in it by hand, such as queues that were added."""
    amqp = copy.copy(app.amqp)
    queues = copy.copy(app.amqp.queues)
    queues._default_consume_from = dict(queues._default_consume_from)
    if queues._consume_from is not None:
        queues._consume_from = dict(queues._consume_from)
    router = copy.copy(app.amqp.router)
    if router.queues is app.amqp.queues:
        router.queues = queues
    # What is bound to the app's own API or to its queues is made anew.
    for name in ('send_task_message', 'create_task_message', '_event_dispatcher', 'default_queue'):
        amqp.__dict__.pop(name, None)
    amqp.__dict__.update(queues=queues, router=router)
    return amqp


def _closes_django_connections(receiver: Any) -> bool:
    if isinstance(receiver, weakref.ref):
        receiver = receiver()
    return isinstance(getattr(receiver, '__self__', None), DjangoFixup)
