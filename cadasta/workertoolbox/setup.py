"""Make an app ready to work, by the steps that its configuration cannot express."""

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery

from .architecture import CHORD_UNLOCK
from .seams.celery_app import selected_queues

logger = logging.getLogger(__name__)


def setup_app(app: Celery, throw: bool = False) -> None:
    """Run each of `SETUP_FUNCS` on an app; workers configured by `.Config` do this by themselves.

    If a function fails, this logs the error and runs the next one. ``app.is_set_up`` tells whether all succeeded.

    :param app: an app that is configured by `.Config`.
    :param throw: raise the first error instead of logging it.
    :raises SystemExit: where the process is a worker that was told to consume the platform queue.

    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export')
    >>> app.config_from_object(Config(broker_url='memory://'))
    >>> setup_app(app)
    >>> app.is_set_up, app.tasks['celery.chord_unlock'].max_retries
    (True, 43200)
    """
    app.is_set_up = False
    failed = False
    for function in SETUP_FUNCS:
        try:
            function(app)
        except Exception:
            if throw:
                raise
            failed = True
            logger.exception('Failed to run setup function %r(app)', function.__name__)
    app.is_set_up = not failed


def limit_chord_unlock(app: Celery) -> None:
    """Limit the retries of ``celery.chord_unlock``: Celery would retry for ever where a task of the chord is lost."""
    task: Any = app.tasks[CHORD_UNLOCK]
    if task.max_retries is None:
        task.max_retries = app.conf.CHORD_UNLOCK_MAX_RETRIES


def declare_topology(app: Celery) -> None:
    """Create all queues with their bindings now, and not with the first message."""
    with app.connection_for_write() as connection:
        # Unlike `default_channel`, this gives up where no broker answers: then Celery's own retry takes over.
        connection.connect()
        for queue in app.amqp.queues.values():
            queue(connection.default_channel).declare()


def leave_platform_queue(app: Celery) -> None:
    """Keep a worker from consuming the platform queue, whose messages are copies: their tasks would run twice."""
    # A producer does not load the modules of a worker.
    from .unconsumed import leave_unconsumed

    name = app.conf.PLATFORM_QUEUE_NAME
    if name in (selected_queues(app) or ()):
        raise SystemExit(
            f'This worker was told to consume {name!r}, the platform queue. It holds a copy of every message for the '
            'task monitor: a worker would run each task a second time and hide it from the platform. '
            f'Start the worker without {name!r} in -Q, or without -Q.'
        )
    app.amqp.queues.deselect([name])
    leave_unconsumed(app, name)


SETUP_FUNCS: list[Callable[[Celery], None]] = [limit_chord_unlock, declare_topology, leave_platform_queue]
