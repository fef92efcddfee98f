"""Writes a journal for the tests: the messages that each process of a project publishes and runs."""

from __future__ import annotations

import json
import os
from typing import Any

from celery import Task
from celery.signals import after_task_publish, task_prerun

# Another process never tears a single write to a file in append mode.
_file = os.open(os.environ['JOURNAL'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(event: str, task: str, id_: str, retries: int) -> None:
    line = json.dumps({'event': event, 'task': task, 'id': id_, 'retries': retries, 'pid': os.getpid()})
    os.write(_file, f'{line}\n'.encode())


@after_task_publish.connect
def published(sender: str, headers: dict[str, Any], **kwargs: Any) -> None:
    note('published', sender, headers['id'], headers['retries'])


@task_prerun.connect
def started(task_id: str, task: Task, **kwargs: Any) -> None:
    note('ran', task.name, task_id, task.request.retries)
