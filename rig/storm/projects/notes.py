"""Write notes for the books: a line of JSON for each message that a process sends or runs, with the time."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import Task
from celery.signals import after_task_publish, before_task_publish, task_prerun, task_received
from celery.worker.request import Request

# Another process never tears a single write to a file in append mode.
_file = os.open(os.environ['NOTES'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
# A worker forks the children of its pool after it has imported this.
_process = os.getpid()


def note(event: str, **what: Any) -> None:
    # Linux and macOS have one monotonic clock for all processes.
    line = json.dumps({'event': event, 'at': time.monotonic(), 'process': _process, **what})
    os.write(_file, f'{line}\n'.encode())


@before_task_publish.connect
def sending(sender: str, headers: dict[str, Any], body: Any, **kwargs: Any) -> None:
    root = headers['root_id']
    if sender == 'celery.chord_unlock':
        # It belongs to another tree than the chord that depends on it.
        (_, chord_body), *_ = body
        root = chord_body['options']['task_id']
    note('sending', key=[sender, headers['id'], headers['retries']], root=root)


@after_task_publish.connect
def sent(sender: str, headers: dict[str, Any], **kwargs: Any) -> None:
    note('sent', key=[sender, headers['id'], headers['retries']])


@task_received.connect
def received(request: Request, **kwargs: Any) -> None:
    note('received', key=key_of(request), delivery=id(request))


@task_prerun.connect
def ran(task_id: str, task: Task, **kwargs: Any) -> None:
    note('ran', key=[task.name, task_id, task.request.retries], child=os.getpid())


class NotingRequest(Request):
    """A message that a worker holds."""

    def acknowledge(self) -> None:
        if not self.acknowledged:
            note('acknowledged', key=key_of(self), delivery=id(self))
        super().acknowledge()


class NotingTask(Task):
    Request = NotingRequest


def key_of(request: Request) -> list[Any]:
    return [request.name, request.id, request.request_dict['retries']]
