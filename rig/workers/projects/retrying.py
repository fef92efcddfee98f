"""What the tasks of all projects do that are there to be retried."""

from __future__ import annotations

from celery import Task


def fail_first(task: Task, failures: int) -> int:
    """Has the running task retried so many times, then returns that number."""
    if task.request.retries < failures:
        raise task.retry(countdown=0)
    return failures
