from __future__ import annotations

import time
from typing import Any, NoReturn

from celery import Task, chain, shared_task

from cadasta.workertoolbox.utils import extract_followups


@shared_task(name='export.add')
def add(x: int, y: int, seconds: float = 0) -> int:
    time.sleep(seconds)
    return x + y


@shared_task(name='export.tick')
def tick() -> None:
    """Sent by beat."""


@shared_task(name='export.flaky', bind=True)
def flaky(self: Task, failures: int) -> int:
    if self.request.retries < failures:
        raise self.retry(countdown=0, max_retries=failures)
    return failures


@shared_task(name='export.fail')
def fail() -> NoReturn:
    raise ValueError('no such project')


@shared_task(name='export.regret')
def regret(task_id: str) -> str:
    """An errback in this service."""
    return task_id


@shared_task(name='export.replaced', bind=True)
def replaced(self: Task, numbers: list[int]) -> Any:
    raise self.replace(self.app.signature('msg.total', (numbers,)))


@shared_task(name='export.archive', bind=True)
def archive(self: Task) -> None:
    last = self.app.signature('msg.total').set(**extract_followups(self))
    chain(self.app.signature('export.pair', (1, 2)), last).delay()


@shared_task(name='export.pair')
def pair(x: int, y: int) -> list[int]:
    return [x, y]
