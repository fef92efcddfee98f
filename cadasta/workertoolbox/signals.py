"""Listen to Celery's signals, and to forks.

The app of a worker that starts is set up, each message that is sent gets its group, and a forked process gets
connections of its own.
"""

import os
import string
from typing import Any

from celery.signals import before_task_publish, worker_init, worker_process_init

from .apps import has_config
from .architecture import ID_LENGTH
from .database.values import storable
from .errors import BadTaskId
from .seams.celery_current import current
from .seams.kombu_pools import empty_pools
from .settings.urls import is_database
from .topology import Declaration, Refusal

# The child of `os.fork`, such as a web server's, would write into the connections of its parent.
os.register_at_fork(after_in_child=empty_pools)

_MAX_GROUP_ID = 128
_GROUP_ID_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


@worker_init.connect
def set_up_worker(sender: Any, **kwargs: Any) -> None:
    """Run `setup_app` for the app of a starting worker, let it renew leases and claim tasks, if it uses `Config`."""
    from .leases import renew_leases
    from .setup import setup_app

    if has_config(sender.app):
        renew_leases(sender.app)
        setup_app(sender.app)
        if is_database(sender.app.conf.result_backend):
            from .results.worker import prepare

            prepare(sender)


@worker_process_init.connect
def set_up_child(sender: Any, **kwargs: Any) -> None:
    """Give a child of a worker what its worker has. A child that was not forked has imported its tasks anew."""
    from .results.worker import prepare_child
    from .setup import limit_chord_unlock

    app = current()
    if has_config(app):
        limit_chord_unlock(app)
        if is_database(app.conf.result_backend):
            prepare_child(app, sender)


@before_task_publish.connect
def group_message(
    headers: dict[str, Any],
    properties: dict[str, Any],
    declare: list[Any] | None = None,
    **kwargs: Any,
) -> None:
    """Put all messages of a task tree into one message group on Amazon SQS.

    A FIFO queue delivers one message of a group at a time, and kombu would put all messages into a single group.
    """
    for entity in declare or ():
        if type(entity) is Declaration and entity.grouped and 'MessageGroupId' not in properties:
            root_id = headers.get('root_id') or properties['correlation_id']
            if len(root_id) <= _MAX_GROUP_ID and _GROUP_ID_CHARACTERS.issuperset(root_id):
                properties['MessageGroupId'] = root_id


@before_task_publish.connect
def refuse_bad_id(headers: dict[str, Any], declare: list[Any] | None = None, **kwargs: Any) -> None:
    """Keep a task from being sent whose id no table can hold: nobody could say what became of it.

    Celery logs an error that a receiver raises, and sends the task. So the receiver replaces what is declared before
    the message is published by an entity that raises the error.
    """
    task_id = headers['id']
    if declare and any(type(entity) is Declaration for entity in declare) and not _is_good(task_id):
        allowed = f'text of 1 to {ID_LENGTH} characters, without NUL'
        declare[:] = [Refusal(error=BadTaskId(f'The id of a task is {task_id!r:.200}: it must be {allowed}'))]


def _is_good(task_id: Any) -> bool:
    return isinstance(task_id, str) and 0 < len(task_id) <= ID_LENGTH and storable(task_id) == task_id
