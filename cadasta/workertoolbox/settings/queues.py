"""Make the queues and the topology of a `Config`."""

from collections.abc import Mapping
from typing import Any

from kombu import Exchange, Queue

from ..architecture import DEFAULT_QUEUE
from ..errors import SettingError
from ..seams.sqs_names import sqs_name
from ..topology import Topology
from .parsers import bad, is_dotted, text
from .predefined import PredefinedQueues, aliases_of

#: The longest name that Amazon SQS gives a queue, prefix included, in characters.
MAX_QUEUE_NAME = 80
# kombu's filesystem transport would take the files of queue 'export.high' for those of queue 'high'.
_DOTS = ('amqp', 'memory', 'redis', 'sqs')


def topology_of(settings: Mapping[str, Any], kind: str) -> Topology:
    """Make the topology of the queues that settings name.

    :param settings: the settings and variables.
    :param kind: the kind of broker, such as ``'sqs'``.
    :raises SettingError: where the settings describe a queue or routes that cannot work.
    """
    name = text('task_default_exchange', settings['task_default_exchange'])
    exchange = Exchange(name, text('task_default_exchange_type', settings['task_default_exchange_type']))
    queues = settings.get('task_queues')
    topology = Topology(
        exchange,
        [_made(name, exchange, settings) for name in _names(settings, kind)] if queues is None else queues,
        settings['PLATFORM_QUEUE_NAME'],
        create_missing=bool(settings['task_create_missing_queues']),
        grouped=kind == 'sqs',
        fair=settings['FAIR_QUEUES'],
        missing_arguments=_missing_arguments(settings),
        routes=settings.get('task_routes'),
    )
    if kind == 'sqs':
        _check_sqs_names(topology, settings['broker_transport_options']['queue_name_prefix'])
    return topology


def findable(options: Mapping[str, Any], topology: Topology) -> dict[str, Any]:
    """Let kombu find the ``predefined_queues`` in the options of a transport by the routing keys of their messages.

    :param options: the options of the transport.
    :param topology: the topology.
    :returns: the options.
    :raises SettingError: where two queues would be found by one name, or the predefined queues are no such dict.
    """
    predefined = options.get('predefined_queues')
    if not predefined:
        return dict(options)
    if not isinstance(predefined, Mapping) or not all(isinstance(queue, Mapping) for queue in predefined.values()):
        # The value may hold credentials.
        raise SettingError(
            "'predefined_queues' in broker_transport_options must be a dict of names, each with a dict that has its "
            "URL, such as {'dev-export': {'url': 'https://…'}}"
        )
    aliases = aliases_of(topology.queues - {topology.platform}, options['queue_name_prefix'])
    return {**options, 'predefined_queues': PredefinedQueues(predefined, aliases)}


def _made(name: str, exchange: Exchange, settings: Mapping[str, Any]) -> Queue:
    # Celery has this setting for its default queue. It has no effect on other queues, in Celery either.
    is_quorum = name == DEFAULT_QUEUE and settings.get('task_default_queue_type') == 'quorum'
    return Queue(name, exchange, queue_arguments={'x-queue-type': 'quorum'} if is_quorum else None)


def _names(settings: Mapping[str, Any], kind: str) -> list[str]:
    prefix = settings['broker_transport_options']['queue_name_prefix']
    names = dict.fromkeys([DEFAULT_QUEUE, *settings['QUEUES'], settings['PLATFORM_QUEUE_NAME']])
    for name in names:
        if is_dotted(name) and kind not in _DOTS:
            raise bad(
                'QUEUES', name, "a name without '.' on this broker. Amazon SQS, RabbitMQ and Redis accept such a name"
            )
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


def _check_sqs_names(topology: Topology, prefix: str) -> None:
    names: dict[str, str] = {}
    for queue in sorted(queue.name for queue in topology.queues):
        name = sqs_name(queue, prefix)
        if name in names:
            raise SettingError(
                f'Queues {names[name]!r} and {queue!r} would both be called {name!r} on Amazon SQS: workers would take '
                "each other's tasks. Rename one of them."
            )
        names[name] = queue
