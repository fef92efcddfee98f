"""Celery: the initialisation of a worker, and its pool."""

from typing import Any

from celery import Celery, signals
from celery.concurrency.solo import TaskPool as Solo
from celery.worker import WorkController


def initialise_worker(app: Celery) -> None:
    """Initialise a worker as ``celery worker`` does, and go no further: it gets no pool and no consumer.

    It stands for the order in which ``celery.apps.worker.Worker`` calls the hooks of a ``WorkController`` and sends
    its signals, and for the steps of its blueprint. The public class sets up logging, and makes all of its steps.

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


def blocks(pool: Any) -> bool:
    """Tell whether a pool holds up its worker where it has no room for another task.

    It stands for the class of the solo pool, which has no attribute that says so. The pools of greenlets have one.

    :param pool: the pool of a worker.
    """
    return isinstance(pool, Solo) or bool(pool.is_green)
