"""Make the apps of all services alike."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.results import backend, lease

backend.LEASE = int(os.environ['LEASE'])
lease.EVERY = backend.LEASE / 3

BEAT_SCHEDULE = {
    'often': {'task': 'export.tick', 'schedule': 0.5},
    'to another service': {'task': 'msg.notify', 'schedule': 1, 'args': ('tick',)},
}


def make_app(name: str, *modules: str, **settings: Any) -> Celery:
    app = Celery(name, include=modules, task_cls='notes:NotingTask')
    app.config_from_object(
        Config(
            QUEUES=['export', 'msg'],
            # A worker acknowledges a task when it is done, not before. So no task is lost with its worker.
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            # A task that a worker holds waits for that worker. So a worker holds no more tasks than it can run.
            worker_prefetch_multiplier=1,
            result_backend_max_sleep_between_retries_ms=500,
            # Whoever sends a message waits for a broker that restarts. By default Celery gives up within a second, and
            # then a task that sends another one fails. For the next task of a chain, it takes `None` for three retries.
            task_publish_retry_policy={
                'max_retries': 1200,
                'interval_start': 0,
                'interval_step': 0.1,
                'interval_max': 0.5,
            },
            **settings,
        )
    )
    return app
