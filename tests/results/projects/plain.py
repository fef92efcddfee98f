"""The tasks of the service `once`, with Celery alone: an app and a result backend that know nothing of claims."""

from __future__ import annotations

import os

from celery import Celery, Task
from kombu import Queue
from once import run

app = Celery(
    'plain',
    broker=os.environ['CELERY_BROKER_URL'],
    backend=(
        'db+postgresql+psycopg2://{RESULT_DB_USER}:{RESULT_DB_PASS}@{RESULT_DB_HOST}:{RESULT_DB_PORT}/{RESULT_DB_NAME}'
    ).format(**os.environ),
)
app.conf.update(task_queues=[Queue('once')], task_track_started=True)


@app.task(name='once.plain', bind=True)
def plain(self: Task, gate: str | None = None, seconds: float = 0) -> str:
    return run(self, gate, seconds)
