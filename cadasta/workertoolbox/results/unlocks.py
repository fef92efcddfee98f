"""Store that the watch over a chord is over. Celery stores nothing about it, as it ignores its result."""

from typing import Any

from celery.signals import task_success
from celery.states import SUCCESS

from ..architecture import CHORD_UNLOCK
from .backend import Backend


@task_success.connect
def store_end(sender: Any, **kwargs: Any) -> None:
    """Store the success of a ``celery.chord_unlock``, which has sent the body of its chord, or failed it.

    :param sender: the task that succeeded.
    """
    if sender.name == CHORD_UNLOCK and isinstance(sender.backend, Backend):
        sender.backend.store_result(sender.request.id, None, SUCCESS)
