from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NoReturn

from celery import Task
from retrying import fail_first

from .celery import app


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def tick() -> None:
    pass


@app.task(name='audit.tick')
def audit_tick() -> None:
    """A task without a queue for the first part of its name. So its sender names a queue."""


@app.task(bind=True)
def flaky(self: Task, failures: int) -> int:
    return fail_first(self, failures)


@app.task(name='audit.flaky', bind=True, queue='export')
def audit_flaky(self: Task, failures: int) -> int:
    """The same, but the task itself names a queue."""
    return fail_first(self, failures)


@app.task
def fail() -> NoReturn:
    raise ValueError('no such project')


@app.task
def finish_after(gate: str, done: str) -> None:
    """Runs until the file `gate` exists, then makes a file in the directory `done`."""
    while not Path(gate).exists():
        time.sleep(0.02)
    Path(done, finish_after.request.id).touch()


@app.task(acks_late=True, reject_on_worker_lost=True)
def die_once(died: str) -> None:
    """Kills the process that runs it, unless the file `died` says that it has done so."""
    if not Path(died).exists():
        Path(died).touch()
        os.kill(os.getpid(), signal.SIGKILL)
