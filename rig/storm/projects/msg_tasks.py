from __future__ import annotations

from typing import Any

from celery import shared_task


@shared_task(name='msg.total')
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task(name='msg.notify')
def notify(what: Any) -> Any:
    return what
