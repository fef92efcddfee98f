"""Tasks that publish others together."""

from __future__ import annotations

from typing import Any

from celery import Task
from once import app, note

from cadasta.workertoolbox import batch


@app.task(name='once.add_together')
def add(first: int, second: int) -> int:
    return first + second


@app.task(name='once.sum')
def added(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name='once.retried_together', bind=True)
def again(self: Task) -> None:
    note('begin', self.request)
    with batch(app):
        app.send_task('once.add_together', (1, 1), task_id=f'{self.request.id}-{self.request.retries}')
        if self.request.retries < 1:
            raise self.retry(countdown=0)


@app.task(name='once.replaced_together', bind=True)
def replaced(self: Task, header: list[Any]) -> None:
    with batch(app):
        app.send_task('once.add_together', (2, 2), task_id=f'{self.request.id}-before')
        raise self.replace(added.s(header))


@app.task(name='once.broken_together', bind=True)
def broken(self: Task) -> None:
    with batch(app):
        app.send_task('once.add_together', (3, 3), task_id=f'{self.request.id}-dropped')
        raise ValueError(self.request.id)
