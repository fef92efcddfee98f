"""No task runs without its claim: its class looks at the claim before the task's own ``before_start`` runs.

A task that is replaced hands its claim on: otherwise a copy of its message could run when the lease is over, while the
replacement waits. The replacement may be a task of another service, which has another role in the database.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.signals import task_postrun
from celery.states import REJECTED, RETRY
from kombu.exceptions import OperationalError

from .backend import Dropped
from .claim import Claim, Failed, Impossible, Over, Running, answer
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
            cls.on_replace = _handing_on(cls.on_replace)
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


def _handing_on(on_replace: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(on_replace)
    def handing_on(self: Any, sig: Any) -> Any:
        if _has_claim(self.request):
            self.backend.disown(self.request.id, answer(self.request))
        try:
            return on_replace(self, sig)
        except Ignore as replaced:
            if _has_claim(self.request):
                # The replacement may run already. Where the database is away and the worker ends, it claims the task.
                with suppress(Dropped, Reject):
                    self.backend.store_result(self.request.id, replaced, RETRY, request=self.request)
            raise

    return handing_on


def act(task: Any) -> None:
    """Keep a task from running whose claim was refused.

    :param task: the task, whose request is the present one.
    :raises celery.exceptions.Ignore: where it has run, or runs elsewhere.
    :raises celery.exceptions.Reject: where it can never be claimed.
    :raises Exception: why it failed, where that has to be told to those who depend on it.
    """
    request = task.request
    claim = answer(request)
    if isinstance(claim, Over):
        logger.warning('Task %s[%s] is not run: %s', task.name, request.id, claim.reason)
        raise Ignore(claim.reason)
    if isinstance(claim, Impossible):
        logger.error('Task %s[%s] is not run: %s', task.name, request.id, claim.reason)
        raise Reject(claim.reason, requeue=False)
    if isinstance(claim, Failed):
        logger.warning(
            'Task %s[%s] is not run: it failed before, and its errbacks are called now', task.name, request.id
        )
        raise task.AsyncResult(request.id).result
    if isinstance(claim, Running):
        logger.warning(
            'Task %s[%s] is not run: it runs on %s. This copy comes back in %.0f s',
            task.name,
            request.id,
            claim.worker,
            claim.seconds,
        )
        try:
            send_back(task, claim.seconds)
        except (OperationalError, OSError) as error:
            # This is no failure of the task, which runs.
            raise Reject(f'It runs on {claim.worker}, and the broker is away: {error}', requeue=True) from error
        except Exception:
            logger.exception('This copy of task %s[%s] cannot come back, and is dropped', task.name, request.id)
        raise Ignore(f'It runs on {claim.worker}')


@task_postrun.connect
def release(task: Any, state: str | None, **kwargs: Any) -> None:
    """Give up the claim of a task that gives its message back to the broker: whoever gets it next may run it."""
    request = task.request
    if state == REJECTED and _has_claim(request):
        task.backend.release(request.id, answer(request))


def _has_claim(request: Any) -> bool:
    return isinstance(answer(request), Claim)
