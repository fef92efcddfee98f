from __future__ import annotations

from typing import NoReturn

from celery import Task
from retrying import fail_first

from .celery import app


@app.task(name='export.tasks.add')
def add(x: int, y: int) -> int:
    return x + y


@app.task(name='export.tasks.tick')
def tick() -> None:
    pass


@app.task(name='audit.tick')
def audit_tick() -> None:
    pass


@app.task(name='export.tasks.flaky', bind=True)
def flaky(self: Task, failures: int) -> int:
    return fail_first(self, failures)


@app.task(name='audit.flaky', bind=True, queue='export')
def audit_flaky(self: Task, failures: int) -> int:
    return fail_first(self, failures)


@app.task(name='export.tasks.fail')
def fail() -> NoReturn:
    raise ValueError('no such project')


@app.task(name='report.tasks.total')
def total(numbers: list[int]) -> int:
    return sum(numbers)
