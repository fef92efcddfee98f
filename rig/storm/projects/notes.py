"""Write notes for the books: a line of JSON for each message that a process sends or runs, with the time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from celery import Celery, Task, current_task
from celery.signals import (
    after_task_publish,
    before_task_publish,
    task_failure,
    task_postrun,
    task_received,
    task_success,
)
from celery.worker.request import Request

from cadasta.workertoolbox import NotAllSent, batch, outbox

# Another process never tears a single write to a file in append mode.
_file = os.open(os.environ['NOTES'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
# A worker forks the children of its pool after it has imported this.
_process = os.getpid()
_runs = count()
# The messages of the batch or outbox that this thread collects.
_collected: ContextVar[list[Any] | None] = ContextVar('collected', default=None)
# The transaction that this thread writes an outbox in.
_transaction: ContextVar[str | None] = ContextVar('transaction', default=None)
_COMMITTED = sa.text('INSERT INTO committed VALUES (:task_id)')


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
    note('sending', key=[sender, headers['id'], headers['retries']], root=root, transaction=_transaction.get())
    if current_task and current_task.request.id == headers['id']:
        # A retry or a replacement, which may start before this run has ended.
        _note_of_run('handed_on', current_task)


@after_task_publish.connect
def sent(sender: str, headers: dict[str, Any], **kwargs: Any) -> None:
    key = [sender, headers['id'], headers['retries']]
    collected = _collected.get()
    if collected is None:
        note('sent', key=key)
    else:
        # The signal comes when the task is called, and a producer may be killed before the batch is sent.
        collected.append(key)


@contextmanager
def noted_batch(app: Celery) -> Iterator[None]:
    """Publish the tasks of a block in a batch, and note what was sent when it ends."""
    name, keys, unsent = uuid4().hex, list[Any](), set[str]()
    note('batch_begun', batch=name)
    token = _collected.set(keys)
    try:
        with batch(app):
            yield
    except NotAllSent as error:
        unsent = {*error.task_ids}
        raise
    except BaseException:
        keys = []
        raise
    else:
        note('batch_sent', batch=name)
    finally:
        _collected.reset(token)
        for key in keys:
            if key[1] not in unsent:
                note('sent', key=key)


@contextmanager
def noted_outbox(app: Celery, connection: sa.Connection) -> Iterator[None]:
    """Write the tasks of a block into the outbox, and their ids into a table that tells what was committed.

    Only the database knows what became of the transaction of a process that is killed while it commits.
    """
    keys = list[Any]()
    tokens = _collected.set(keys), _transaction.set(uuid4().hex)
    try:
        with outbox(app, connection):
            yield
    finally:
        _collected.reset(tokens[0])
        _transaction.reset(tokens[1])
    connection.execute(_COMMITTED, [{'task_id': task_id} for _, task_id, _ in keys])


@task_received.connect
def received(request: Request, **kwargs: Any) -> None:
    note('received', key=key_of(request), delivery=id(request))


@task_success.connect
def succeeded(sender: Task, **kwargs: Any) -> None:
    _note_of_run('stored', sender)


@task_failure.connect
def failed(sender: Task, **kwargs: Any) -> None:
    _note_of_run('stored', sender)


@task_postrun.connect
def ended(task: Task, state: str | None, **kwargs: Any) -> None:
    _note_of_run('ended', task, state=state)


def _note_of_run(event: str, task: Task, **what: Any) -> None:
    run = getattr(task.request, 'noted_run', None)
    # A message that was not admitted has no run. The main process says of a child's run that it failed.
    if run is not None:
        note(event, run=run, **what)


class NotingRequest(Request):
    """A message that a worker holds."""

    def acknowledge(self) -> None:
        if not self.acknowledged:
            note('acknowledged', key=key_of(self), delivery=id(self))
        super().acknowledge()


class NotingTask(Task):
    Request = NotingRequest

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        # Only a run that was admitted comes here.
        request = self.request
        request.noted_run = f'{os.getpid()}.{next(_runs)}'
        note(
            'begun',
            key=[self.name, task_id, request.retries],
            nesting=request.replaced_task_nesting or 0,
            number=getattr(getattr(request, 'toolbox_claim', None), 'runs', 0),
            child=os.getpid(),
            run=request.noted_run,
        )


def key_of(request: Request) -> list[Any]:
    return [request.name, request.id, request.request_dict['retries']]
