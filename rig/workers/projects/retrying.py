"""The tasks that fail and are retried, in all projects."""

from __future__ import annotations

from celery import Task


def fail_first(task: Task, failures: int) -> int:
    """Retries the running task this number of times, then returns the number."""
    if task.request.retries < failures:
        raise task.retry(countdown=0)
    return failures
