"""Borrow an app: change it, and the process that it runs in, and undo all changes afterwards."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from celery import Celery, signals

from ..seams.celery_app import copied_amqp, observers_of, states_of, store_no_results, use_pool
from ..seams.celery_signals import disconnect_all, disconnect_django, disconnect_own, kept_receivers
from ..signals import prepare_message
from .memory_broker import Broker

#: Receivers of these signals would take the messages of a rehearsal for tasks that somebody sent.
_ABOUT_SENDING = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)


#: A worker sends these signals when it initialises itself.
_OF_WORKERS = (signals.celeryd_init, signals.worker_init, signals.celeryd_after_setup)


@contextmanager
def borrowed(app: Celery) -> Iterator[None]:
    """Let an app be changed, and undo that at the end.

    The borrowed app has a copy of its AMQP API and a result backend that stores nothing. No receiver of a signal
    hears of the tasks that it publishes, but the one of this package, which changes what is declared for a message.

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
        # A broker in memory never fails, so a producer has nothing to retry.
        app.conf.task_publish_retry = False
        for signal in _ABOUT_SENDING:
            disconnect_all(signal)
        signals.before_task_publish.connect(prepare_message)
        disconnect_django()
        yield


def disconnect_own_of_workers() -> dict[str, list[str]]:
    """Let no receiver of the app's own hear that a worker initialises itself, until the app is given back.

    :returns: the receivers, by the signal.
    """
    own = {signal.name: disconnect_own(signal) for signal in _OF_WORKERS}
    return {name: receivers for name, receivers in own.items() if receivers}


@contextmanager
def redirected(app: Celery, broker: Broker) -> Iterator[None]:
    """Connect a borrowed app to another broker.

    :param app: the app, inside `borrowed`.
    :param broker: the broker that gets its messages.
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
