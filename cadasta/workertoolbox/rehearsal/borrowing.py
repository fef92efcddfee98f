"""Borrow an app: what happens to it, and to the process for its sake, is undone afterwards."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from celery import Celery, signals

from ..seams.celery_app import copied_amqp, observers_of, states_of, store_no_results, use_pool
from ..seams.celery_signals import disconnect_all, disconnect_django, kept_receivers
from .memory_broker import Broker

#: Their receivers would take the messages of the tests for tasks that were sent.
_ABOUT_SENDING = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)


@contextmanager
def borrowed(app: Celery) -> Iterator[None]:
    """Let an app be changed, and undo that at the end.

    The app's AMQP API is a copy, its result backend one that stores nothing, and nobody hears of tasks that are sent.

    :param app: the app, with its task modules imported.
    """
    with ExitStack() as stack:
        for values in states_of(app):
            stack.enter_context(_restored(values))
        observers = observers_of(app)
        stack.callback(observers.__setitem__, slice(None), list(observers))
        stack.enter_context(kept_receivers())
        stack.enter_context(_restored(vars(app.amqp)))

        app.amqp = copied_amqp(app)
        store_no_results(app)
        app.conf.task_always_eager = False
        app.conf.task_send_sent_event = False
        # There is nothing to wait for: a broker in memory never fails.
        app.conf.task_publish_retry = False
        for signal in _ABOUT_SENDING:
            disconnect_all(signal)
        disconnect_django()
        yield


@contextmanager
def redirected(app: Celery, broker: Broker) -> Iterator[None]:
    """Connect a borrowed app to another broker.

    :param app: the app, inside `borrowed`.
    :param broker: where its messages go.
    """
    app.amqp.Connection = lambda *args, **kwargs: broker.connection()
    connections = broker.connection().Pool(limit=10)
    use_pool(app, connections)
    try:
        yield
    finally:
        app.producer_pool.force_close_all()
        connections.force_close_all()


@contextmanager
def _restored(values: dict[str, Any]) -> Iterator[None]:
    saved = dict(values)
    try:
        yield
    finally:
        for name in values.keys() - saved.keys():
            del values[name]
        values.update(saved)
