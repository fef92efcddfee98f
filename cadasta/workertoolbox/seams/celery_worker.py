"""Celery: the initialisation of a worker, the kind of its pool, and what it does with a message."""

from collections.abc import Callable
from typing import Any

from celery import Celery, signals
from celery.app.trace import build_tracer
from celery.concurrency.solo import TaskPool as Solo
from celery.worker import WorkController
from celery.worker.state import maybe_shutdown


def initialise_worker(app: Celery) -> None:
    """Initialise a worker as ``celery worker`` does, but create no pool and no consumer.

    It uses the order in which ``celery.apps.worker.Worker`` calls the hooks of a ``WorkController`` and sends
    its signals, and the steps of its blueprint. The public class sets up logging and creates all steps.

    :param app: the app.
    """
    _InitialisedWorker(app, pool='solo', concurrency=1, use_eventloop=False)


class _InitialisedWorker(WorkController):
    class Blueprint(WorkController.Blueprint):
        def claim_steps(self) -> dict[str, Any]:
            return {}

    def on_before_init(self, **kwargs: Any) -> None:
        signals.celeryd_init.send(sender=self.hostname, instance=self, conf=self.app.conf, options=kwargs)

    def on_init_blueprint(self) -> None:
        signals.celeryd_after_setup.send(sender=self.hostname, instance=self, conf=self.app.conf)


def end_if_told() -> None:
    """End a worker that somebody has told to end, for code that keeps its main loop waiting.

    It uses ``celery.worker.state.maybe_shutdown``, which the main loop calls. A signal does not wake the loop.

    :raises SystemExit: if somebody has.
    """
    maybe_shutdown()


def blocks(pool: Any) -> bool:
    """Tell whether a pool without room for another task blocks the main loop of its worker.

    It uses the class of the solo pool, which has no attribute that tells. The pools of greenlets have one.

    :param pool: the pool of a worker.
    """
    return isinstance(pool, Solo) or bool(pool.is_green)


def wrap_handler(consumer: Any, wrap: Callable[[Callable[[Any], None]], Callable[[Any], None]]) -> None:
    """Change what a worker does with each message that it gets.

    It replaces ``consumer.create_task_handler``, which Celery calls for each connection. What Celery offers comes into
    play once it has read the message.

    :param consumer: the consumer of a worker.
    :param wrap: gets the function that takes a message, and gives another.
    """
    create = consumer.create_task_handler
    consumer.create_task_handler = lambda: wrap(create())


def trace_again(app: Celery, hostname: str) -> None:
    """Let the tasks of a child of a prefork pool see changes of their classes.

    It uses ``celery.app.trace.build_tracer``. A child builds the function that runs a task before it sends its first
    signal, and that function keeps the hooks that it found.

    :param app: the app of the worker.
    :param hostname: the name of the worker.
    """
    for name, task in app.tasks.items():
        task.__trace__ = build_tracer(name, task, app.loader, hostname, app=app)
