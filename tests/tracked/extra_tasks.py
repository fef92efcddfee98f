"""The test gives the example's worker two more tasks: one is retried, and one is replaced."""

from __future__ import annotations

from celery import Task
from export_worker.celery import app


@app.task(name='export.flaky', bind=True)
def flaky(self: Task, result: str) -> str:
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return result


@app.task(name='export.replaced', bind=True)
def replaced(self: Task) -> None:
    raise self.replace(app.signature('export.parcels', ['kibera']))
