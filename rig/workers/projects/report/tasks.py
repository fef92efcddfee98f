from __future__ import annotations

from .celery import app


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)
