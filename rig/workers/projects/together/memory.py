"""Run the service on the in-memory broker: worker, producer and beat are in one process, and share its broker.

When the worker is ready, a thread sends all tasks. Then, at each line on stdin, it writes down the messages of the
platform queue.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import produce
from celery.beat import EmbeddedService
from celery.signals import after_task_publish, worker_ready
from journal import note

from . import tasks
from .celery import app

EVERY = 0.1

app.conf.broker_pool_limit = produce.CONNECTIONS
app.conf.beat_schedule = {
    'by name': {'task': 'export.tasks.tick', 'schedule': EVERY},
    'by queue': {'task': 'audit.tick', 'schedule': EVERY, 'options': {'queue': 'export'}},
}


@worker_ready.connect
def begin(**kwargs: Any) -> None:
    threading.Thread(target=run, daemon=True).start()


def run() -> None:
    produce.flood(tasks, '100')
    produce.close_connections(app)
    produce.flood(tasks, '100')
    produce.workflows(tasks)
    beat_once()
    print('all sent', flush=True)
    for _ in sys.stdin:
        write_down_platform_queue()
        print('written', flush=True)


def beat_once() -> None:
    """Runs beat until it has sent each of its tasks."""
    left = {entry['task'] for entry in app.conf.beat_schedule.values()}
    all_sent = threading.Event()

    @after_task_publish.connect
    def cross_off(sender: str, **kwargs: Any) -> None:
        left.discard(sender)
        if not left:
            all_sent.set()

    beat = EmbeddedService(app, thread=True, schedule_filename=f'{os.environ["JOURNAL"]}-schedule')
    beat.start()
    all_sent.wait()
    beat.stop()


def write_down_platform_queue() -> None:
    with app.connection_for_read() as connection:
        while message := connection.default_channel.basic_get(app.conf.PLATFORM_QUEUE_NAME, no_ack=True):
            note('copied', message.headers['task'], message.headers['id'], message.headers['retries'])
