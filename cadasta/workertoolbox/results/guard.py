"""No task runs without its claim: its class looks at the claim before the task's own ``before_start`` runs."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.signals import task_postrun
from celery.states import REJECTED

from .claim import Claim, Impossible, Over, Running
from .comeback import send_back

logger = logging.getLogger(__name__)

_MARK = '_claim_is_guarded'


def guard(app: Celery) -> bool:
    """Guard all tasks of an app. Celery builds what runs them later.

    :param app: the app of a worker.
    :returns: whether a task was not guarded before.
    """
    is_new = False
    for task in app.tasks.values():
        cls = type(task)
        # Classes may be shared by tasks, and inherit from each other.
        if _MARK not in vars(cls):
            setattr(cls, _MARK, True)
            cls.before_start = _guarded(cls.before_start)
            is_new = True
    return is_new


def _guarded(before_start: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(before_start)
    def guarded(self: Any, task_id: str, args: Any, kwargs: Any) -> Any:
        act(self)
        return before_start(self, task_id, args, kwargs)

    # Celery passes over what says that it is its own.
    guarded.__module__ = __name__
    return guarded


def act(task: Any) -> None:
    """Keep a task from running whose claim was refused.

    :param task: the task, whose request is the present one.
    :raises celery.exceptions.Ignore: where it has run, or runs elsewhere.
    :raises celery.exceptions.Reject: where it can never be claimed.
    """
    request = task.request
    claim = getattr(request, 'toolbox_claim', None)
    if isinstance(claim, Over):
        logger.warning('Task %s[%s] is not run: %s', task.name, request.id, claim.reason)
        raise Ignore(claim.reason)
    if isinstance(claim, Impossible):
        logger.error('Task %s[%s] is not run: %s', task.name, request.id, claim.reason)
        raise Reject(claim.reason, requeue=False)
    if isinstance(claim, Running):
        logger.warning(
            'Task %s[%s] is not run: it runs on %s. This copy comes back in %.0f s',
            task.name,
            request.id,
            claim.worker,
            claim.seconds,
        )
        send_back(task, claim.seconds)
        raise Ignore(f'It runs on {claim.worker}')


@task_postrun.connect
def release(task: Any, state: str | None, **kwargs: Any) -> None:
    """Give up the claim of a task that gives its message back to the broker: whoever gets it next may run it."""
    request = task.request
    if state == REJECTED and isinstance(getattr(request, 'toolbox_claim', None), Claim):
        task.backend.release(request.id, request.toolbox_claim)
