"""RabbitMQ: it answers passive declarations of exchanges and queues, and compares what is declared a second time."""

from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from typing import Any
from uuid import uuid4

from kombu import Connection, Exchange, Queue

from ..topology import bindings_of
from ..transports.amqp import NotConfirmed
from .finding import Problem, shown
from .platform_queue import Depth

# RabbitMQ gives this limit to a quorum queue without one, since this version.
_LIMIT, _LIMITED_SINCE = 20, 4
_FREE = (
    '"rabbitmqctl status" tells which, and what its limits are. Free some, or raise the limit. Until then, delay() '
    'raises an error, and tasks that send others wait.'
)
_START = 'Start a worker, or call cadasta.workertoolbox.setup.setup_app(app): both declare what is missing.'


class RabbitMQ:
    """Looks for missing exchanges and queues, and for those that were made with another type or other arguments.

    :param connection: a connection. Each declaration has a channel of its own, because RabbitMQ closes the channel of
        one that fails.
    :param platform: the name of the platform queue.
    """

    def __init__(self, connection: Connection, platform: str = '') -> None:
        self._connection = connection
        self._platform = platform

    def obstacles(self) -> Iterator[tuple[str, str]]:
        if takes_no_messages(self._connection):
            yield 'it is short of memory or disk space, and takes no messages', _FREE

    def problems(self, queues: list[Queue]) -> Iterator[Problem]:
        for exchange in {exchange.name: exchange for queue in queues for exchange, _ in bindings_of(queue)}.values():
            where = f'exchange {exchange.name!r}'
            if error := self._refusal(partial(_declare, exchange, passive=True)):
                yield Problem(where, error, _START)
            # RabbitMQ does not tell the type of an exchange, but it refuses a declaration with another type. If the
            # type is the same, the declaration changes nothing.
            elif error := self._refusal(partial(_declare, exchange)):
                yield Problem(
                    where,
                    error,
                    f'RabbitMQ refuses producers as well. It has to be a {exchange.type} exchange with the options '
                    'that the app declares. Delete the exchange and start a worker, which declares it anew, or give '
                    'the app the name, type and options of this exchange. If RabbitMQ refuses access, let the user '
                    'configure the exchange.',
                )
        for queue in queues:
            where = f'queue {queue.name!r}'
            if error := self._refusal(partial(_look_for, queue.name)):
                yield Problem(where, error, _START)
            # This changes nothing either: the queue is there, and RabbitMQ compares it with what is declared.
            elif error := self._refusal(partial(_declare_queue, queue)):
                yield Problem(
                    where,
                    error,
                    'RabbitMQ refuses delay() and workers as well. A queue keeps the type, the options and the '
                    'arguments that it was made with. Let each app declare it as it is, by task_queues, '
                    'task_queue_max_priority and task_default_queue_type. Or delete the queue when it is empty, and '
                    'start a worker, which declares it anew. If RabbitMQ refuses access, let the user configure the '
                    'queue.',
                )
            elif queue.name == self._platform and (limit := self._delivery_limit(queue)) is not None:
                yield Problem(
                    where,
                    f'it is a quorum queue, and RabbitMQ drops a message that was delivered {limit} times: so it loses '
                    'messages while monitors cannot store them',
                    "Make a classic queue of it, or give it the argument 'x-delivery-limit': -1 on RabbitMQ 4, and "
                    'none on RabbitMQ 3. A policy may have such a limit, too.',
                )

    def depth(self, queue: str) -> Depth | None:
        with self._connection.channel() as channel:
            try:
                declared = _look_for(queue, channel)
            except self._connection.channel_errors:
                return None
        return Depth(declared.message_count, consumers=declared.consumer_count)

    def _delivery_limit(self, queue: Queue) -> int | None:
        arguments = queue.queue_arguments or {}
        # A virtual host may make quorum queues of those that are declared without a type.
        quorum = copy(queue)
        quorum.queue_arguments = {**arguments, 'x-queue-type': 'quorum'}
        if self._refusal(partial(_declare_queue, quorum)):
            return None
        limit = arguments.get('x-delivery-limit', _default_limit(self._connection))
        return None if limit is None or limit < 0 else int(limit)

    def _refusal(self, ask: Callable[[Any], Any]) -> str:
        with self._connection.channel() as channel:
            try:
                ask(channel)
            except self._connection.channel_errors as error:
                return shown(error)
        return ''


def _default_limit(connection: Connection) -> int | None:
    version = str(connection.connection.server_properties.get('version', ''))
    major = version.partition('.')[0]
    return _LIMIT if major.isdigit() and int(major) >= _LIMITED_SINCE else None


def takes_no_messages(connection: Connection) -> bool:
    """Tell whether RabbitMQ has raised an alarm. It tells only those that send a message: no queue gets this one.

    :param connection: a connection to it, which is not used.
    """
    with connection.clone() as probe:
        channel = probe.channel()
        try:
            # RabbitMQ still takes the first message of a connection.
            for _ in range(2):
                # Each queue is bound to the exchange without a name by its own name. There is no queue of this name.
                channel.basic_publish(channel.prepare_message(b''), exchange='', routing_key=str(uuid4()))
        except NotConfirmed:
            return True
        except probe.channel_errors:
            # The user may not send to this exchange.
            return False
    return False


def _declare(exchange: Exchange, channel: Any, passive: bool = False) -> None:
    exchange(channel).declare(passive=passive)


def _declare_queue(queue: Queue, channel: Any) -> None:
    # `declare` would bind the queue as well.
    queue(channel).queue_declare()


def _look_for(queue: str, channel: Any) -> Any:
    return channel.queue_declare(queue, passive=True)
