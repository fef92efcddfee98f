"""A service whose tasks write down when they begin and end, and whose leases are as short as a test wants them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.results import backend, lease

backend.LEASE = int(os.environ.get('LEASE', backend.LEASE))
lease.EVERY = backend.LEASE / 3

_file = os.open(os.environ['JOURNAL'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

app = Celery('once')
app.config_from_object(
    Config(
        QUEUES=json.loads(os.environ.get('QUEUES', '["once"]')),
        result_backend_max_sleep_between_retries_ms=500,
        **json.loads(os.environ.get('SETTINGS', '{}')),
    )
)


def note(event: str, request: Any) -> None:
    line = json.dumps({'event': event, 'id': request.id, 'retries': request.retries, 'at': time.monotonic()})
    os.write(_file, f'{line}\n'.encode())


def wait_for(gate: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.02)


class Hooked(Task):
    """A base class with hooks of its own."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        note('before_start', self.request)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        note('call', self.request)
        return super().__call__(*args, **kwargs)


def run(task: Task, gate: str | None, seconds: float) -> str:
    note('begin', task.request)
    if gate:
        wait_for(gate)
    time.sleep(seconds)
    note('end', task.request)
    return task.request.id


@app.task(name='once.plain', bind=True)
def plain(self: Task, gate: str | None = None, seconds: float = 0) -> str:
    return run(self, gate, seconds)


@app.task(name='once.late', bind=True, acks_late=True, reject_on_worker_lost=True)
def late(self: Task, gate: str | None = None, seconds: float = 0) -> str:
    return run(self, gate, seconds)


@app.task(name='once.hooked', bind=True, base=Hooked)
def hooked(self: Task, gate: str | None = None, seconds: float = 0) -> str:
    return run(self, gate, seconds)


@app.task(name='once.retried', bind=True, max_retries=2)
def retried(self: Task, delay: float = 0.2) -> str:
    run(self, None, 0)
    if self.request.retries < 2:
        raise self.retry(countdown=delay)
    return self.request.id


@app.task(name='once.again', bind=True, autoretry_for=(KeyError,), retry_backoff=False, default_retry_delay=0.2)
def again(self: Task) -> str:
    run(self, None, 0)
    if self.request.retries < 2:
        raise KeyError('not yet')
    return self.request.id


@app.task(name='once.replaced', bind=True)
def replaced(self: Task, seconds: float = 0, queue: str = 'once') -> None:
    run(self, None, 0)
    raise self.replace(plain.s().set(countdown=seconds, queue=queue))


@app.task(name='once.rejected', bind=True, acks_late=True)
def rejected(self: Task, flag: str) -> str:
    note('begin', self.request)
    note('end', self.request)
    if not Path(flag).exists():
        Path(flag).touch()
        raise Reject('once more', requeue=True)
    return self.request.id


@app.task(name='once.total', bind=True)
def total(self: Task, ids: list[str], gate: str | None = None) -> int:
    run(self, gate, 0)
    return len(ids)


@app.task(name='once.state', bind=True)
def state(self: Task, name: str) -> str:
    note('begin', self.request)
    self.update_state(state=name, meta={'done': 1})
    note('end', self.request)
    return self.request.id


@app.task(name='once.large', bind=True)
def large(self: Task, size: int) -> str:
    run(self, None, 0)
    return 'x' * size


@app.task(name='once.fail', bind=True)
def fail(self: Task, text: str) -> None:
    raise ValueError(text)


@app.task(name='once.odd', bind=True)
def odd(self: Task, kind: str) -> Any:
    """Its result, or what is stored with it, is not what a database or JSON can hold."""
    note('begin', self.request)
    note('end', self.request)
    if kind == 'surrogates':
        return '\ud800'
    if kind == 'circular':
        return circular()
    if kind == 'children':
        for number in range(100):
            self.add_trail(app.AsyncResult(f'{number}'))
    if kind == 'meta':
        self.update_state(state='PROGRESS', meta={'done': object()})
    if kind == 'traceback':
        raise ValueError('short') from ValueError('x' * 100_000)
    return kind


def circular() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@app.task(name='once.broken', bind=True, acks_late=True)
def broken(self: Task) -> None:
    run(self, None, 0)
    raise ValueError('it is broken')


@app.task(name='once.inform')
def inform(request: Any, error: Exception, traceback: Any, gate: str) -> None:
    """An errback that runs in the worker of the task that failed."""
    note('inform', request)
    wait_for(gate)
    note('informed', request)


@app.task(name='once.limit', bind=True)
def limit(self: Task) -> int | None:
    return self.app.tasks['celery.chord_unlock'].max_retries


@app.task(name='once.needs', bind=True)
def needs(self: Task, path: str) -> str:
    note('begin', self.request)
    if not Path(path).exists():
        raise FileNotFoundError(path)
    return self.request.id


@app.task(name='once.patient', bind=True)
def patient(self: Task, seconds: float) -> str:
    note('begin', self.request)
    if not self.request.retries:
        raise self.retry(countdown=seconds)
    return self.request.id
