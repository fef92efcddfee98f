"""Listen to Celery's signals, and to forks.

The app of a worker that starts is set up, each message that is sent gets its group, and a forked process gets
connections of its own.
"""

import string
from datetime import UTC, datetime
from typing import Any

from celery.app import app_or_default
from celery.exceptions import QueueNotFound
from celery.signals import before_task_publish, worker_init, worker_process_init

from . import apps
from .architecture import ID_LENGTH, SENT
from .database.values import is_task_id
from .errors import BadTaskId
from .seams.forks import after_fork
from .seams.kombu_pools import empty_pools
from .seams.kombu_virtual import GROUP, FIFOGroup
from .settings.urls import is_database
from .topology import Declaration, Refusal, WorkQueue

# The child of `os.fork`, such as a web server's, would write into the connections of its parent.
after_fork(empty_pools)

_MAX_GROUP_ID = 128
_GROUP_ID_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


@worker_init.connect
def set_up_worker(sender: Any, **kwargs: Any) -> None:
    """Run `setup_app` for the app of a starting worker, let it renew leases, report, and claim, if it uses `Config`."""
    from .leases import renew_leases
    from .reports import report_regularly
    from .results import claim_tasks, refuse_unreadable
    from .setup import setup_app
    from .transports.restarts import pause_between_restarts

    if apps.has_config(sender.app):
        renew_leases(sender.app)
        pause_between_restarts(sender.app)
        setup_app(sender.app)
        refuse_unreadable(sender.app)
        if sender.app.conf.REPORT:
            report_regularly(sender.app)
        if is_database(sender.app.conf.result_backend):
            claim_tasks(sender.app)


@worker_process_init.connect
def set_up_child(sender: Any, **kwargs: Any) -> None:
    """Give a child of a worker what its worker has. A child that was not forked has imported its tasks anew."""
    from .results import claim_in_child
    from .setup import limit_chord_unlock

    app = app_or_default()
    if apps.has_config(app):
        limit_chord_unlock(app)
        if is_database(app.conf.result_backend):
            claim_in_child(app, sender)


@before_task_publish.connect
def prepare_message(
    sender: str,
    headers: dict[str, Any],
    properties: dict[str, Any],
    exchange: Any,
    routing_key: str,
    declare: list[Any] | None = None,
    **kwargs: Any,
) -> None:
    """Note when a message is sent, and put all messages of a task tree into one group on Amazon SQS.

    It refuses a task whose id no table can hold, and one that would be lost because its code names no app.

    Celery logs an error that a receiver raises, and sends the task. So the receiver replaces what is declared before
    the message is published by an entity that raises the error.
    """
    entities = declare or []
    for entity in entities:
        if type(entity) is Declaration:
            break
    else:
        entity = _completed(sender, exchange, routing_key, entities)
        if entity is None:
            if error := apps.refusal(sender, properties.get('reply_to')):
                entities[:] = [Refusal(error=error)]
            return
    # Celery's first protocol has no headers.
    task_id = headers['id'] if 'id' in headers else properties['correlation_id']
    if not is_task_id(task_id):
        allowed = f'text of 1 to {ID_LENGTH} characters, without NUL'
        entities[:] = [Refusal(error=BadTaskId(f'The id of a task is {task_id!r:.200}: it must be {allowed}'))]
        return
    headers[SENT] = datetime.now(UTC).isoformat()
    # RabbitMQ would drop the platform's copy too when the task expires. A worker does not run a task that has expired.
    properties.pop('expiration', None)
    if entity.grouped:
        group_message(headers, properties, entity.fair)


def _completed(name: str, exchange: Any, routing_key: str, entities: list[Any]) -> Declaration | None:
    """Declare the work queue that a message goes to, where a route that `Config` does not know chose another one.

    Such a route stands before that of `Config` in ``task_routes``. It names a queue, and Celery declares that queue
    alone. But a retry has the routing key of its message. On Amazon SQS and Redis, its queue would not get it.
    """
    for number, entity in enumerate(entities):
        topology = entity.topology if isinstance(entity, WorkQueue) else None
        if topology is not None and getattr(exchange, 'name', exchange) == topology.exchange.name:
            try:
                entities[number] = declaration = topology.declaration(name, routing_key)
            except QueueNotFound as error:
                entities[:] = [Refusal(error=error)]
                return None
            return declaration
    return None


def group_message(headers: dict[str, Any], properties: dict[str, Any], fair: bool) -> None:
    """Put a message into the group of its task tree on Amazon SQS.

    :param headers: the headers of the message.
    :param properties: its properties, which get the group.
    :param fair: whether standard queues get the group as well as FIFO queues.
    """
    # A FIFO queue delivers one message of a group at a time, and kombu would put all messages into a single group.
    root_id = headers.get('root_id') or properties['correlation_id']
    if len(root_id) <= _MAX_GROUP_ID and _GROUP_ID_CHARACTERS.issuperset(root_id):
        properties.setdefault(GROUP, root_id)
    if GROUP in properties and not fair:
        properties[GROUP] = FIFOGroup(properties[GROUP])
