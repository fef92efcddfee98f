from __future__ import annotations

import time
from typing import Any

from celery import Task

from .celery import app


def busy(seconds: float) -> None:
    time.sleep(seconds)


def insist(self: Task) -> None:
    """Retries twice."""
    if self.request.retries < 2:
        raise self.retry()


OPTIONS: dict[str, dict[str, Any]] = {'early': {}, 'late': {'acks_late': True, 'reject_on_worker_lost': True}}

BUSY = {name: app.task(name=f'later.busy.{name}', **options)(busy) for name, options in OPTIONS.items()}
INSIST = {
    name: app.task(name=f'later.insist.{name}', bind=True, default_retry_delay=9, **options)(insist)
    for name, options in OPTIONS.items()
}
