"""Make the queues and the topology of a `Config`."""

from collections.abc import Mapping
from typing import Any

from kombu import Exchange, Queue

from ..architecture import DEFAULT_QUEUE, FIFO
from ..errors import SettingError
from ..topology import Topology
from .parsers import text

#: The longest name that Amazon SQS gives a queue, prefix included, in characters.
MAX_QUEUE_NAME = 80


def topology_of(settings: Mapping[str, Any], grouped: bool) -> Topology:
    """Make the topology of the queues that settings name.

    :param settings: the settings and variables.
    :param grouped: whether messages get a ``MessageGroupId``, as on Amazon SQS.
    :raises SettingError: where the settings describe a queue that cannot work.
    """
    name = text('task_default_exchange', settings['task_default_exchange'])
    exchange = Exchange(name, text('task_default_exchange_type', settings['task_default_exchange_type']))
    queues = settings.get('task_queues')
    topology = Topology(
        exchange,
        [Queue(name, exchange) for name in _names(settings)] if queues is None else queues,
        settings['PLATFORM_QUEUE_NAME'],
        create_missing=bool(settings['task_create_missing_queues']),
        grouped=grouped,
        missing_arguments=_missing_arguments(settings),
    )
    if settings['broker_transport_options'].get('predefined_queues'):
        for queue in topology.queues - {topology.platform}:
            _check_predefined(queue)
    return topology


def _names(settings: Mapping[str, Any]) -> list[str]:
    prefix = settings['broker_transport_options']['queue_name_prefix']
    names = dict.fromkeys([DEFAULT_QUEUE, *settings['QUEUES'], settings['PLATFORM_QUEUE_NAME']])
    for name in names:
        if len(f'{prefix}{name}') > MAX_QUEUE_NAME:
            raise SettingError(
                f'The name of queue {name!r} is {len(f"{prefix}{name}")} characters long with its prefix '
                f'{prefix!r}: at most {MAX_QUEUE_NAME} are allowed. Shorten the name or QUEUE_NAME_PREFIX.'
            )
    return list(names)


def _missing_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of the queues that Celery creates. RabbitMQ refuses to declare one again with others."""
    kind, priority = settings.get('task_create_missing_queue_type'), settings.get('task_queue_max_priority')
    return {
        **({'x-queue-type': kind} if kind == 'quorum' else {}),
        **({'x-max-priority': priority} if priority is not None else {}),
    }


def _check_predefined(queue: Queue) -> None:
    # kombu looks up the queue by the routing key when it acknowledges a message.
    if queue.routing_key != queue.name:
        kind = 'is a FIFO work queue' if queue.name.endswith(FIFO) else f'has the routing key {queue.routing_key!r}'
        raise SettingError(
            f'broker_transport_options has predefined_queues, and {queue.name!r} {kind}: its messages could not be '
            'acknowledged, and each task would run again. Leave out predefined_queues, or make it a standard queue, '
            f'{queue.routing_key!r}.'
        )
