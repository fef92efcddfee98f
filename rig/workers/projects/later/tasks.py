from __future__ import annotations

import time
from typing import Any

from celery import Task
from journal import note

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


@app.task(name='later.watched', bind=True, acks_late=True)
def watched(self: Task, seconds: float) -> None:
    """Notes that it began: a message that is not admitted does not."""
    note('began', self.name, self.request.id, self.request.retries)
    time.sleep(seconds)
