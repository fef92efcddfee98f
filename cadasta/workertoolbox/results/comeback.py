"""A copy of a task that runs elsewhere goes back into its queue, until the other run may be over.

It is neither kept by this worker nor put back by the broker, who would deliver it again at once, hundreds of times a
second, and who counts how often it does so.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

# A worker adds these to the headers of a message to make a request.
_NOT_HEADERS = frozenset(
    (
        *('args', 'kwargs', 'callbacks', 'errbacks', 'chain', 'chord'),
        *('properties', 'reply_to', 'correlation_id', 'delivery_info', 'compression', 'headers'),
        *('hostname', 'is_eager', 'called_directly', 'loglevel', 'logfile', 'time_limit', 'soft_time_limit'),
        *('toolbox_claim', '_children', '_protected'),
    )
)
_PROPERTIES = ('correlation_id', 'reply_to', 'priority', 'MessageGroupId')


def send_back(task: Any, seconds: float) -> None:
    """Publish the message of a task again, to its own queue alone: the platform has it already.

    :param task: the task whose request it is.
    :param seconds: how long a worker is to wait before it looks at the message again.
    """
    app, request = task.app, task.request
    headers = {name: value for name, value in vars(request).items() if name not in _NOT_HEADERS}
    headers['eta'] = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    embedded = {name: getattr(request, name) for name in ('callbacks', 'errbacks', 'chain', 'chord')}
    properties = {name: value for name, value in (request.properties or {}).items() if name in _PROPERTIES}
    with app.producer_or_acquire() as producer:
        producer.publish(
            (request.args, request.kwargs, embedded),
            exchange='',
            routing_key=_queue_name(app, task.name, request.delivery_info),
            serializer=task.serializer or app.conf.task_serializer,
            headers=headers,
            delivery_mode='persistent',
            retry=True,
            retry_policy=app.conf.task_publish_retry_policy,
            **properties,
        )


def _queue_name(app: Any, name: str, delivery: dict[str, Any]) -> str:
    key: str = delivery['routing_key']
    if not delivery['exchange']:
        return key
    # Routes of the app's own must not be asked: the message came from this queue.
    queue_name: str = app.loader.conf.topology.declaration(name, key).name
    return queue_name
