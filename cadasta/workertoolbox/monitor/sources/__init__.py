"""Where messages come from: a way to take batches from the platform queue for each kind of transport."""

from collections.abc import Callable
from typing import Any

from kombu import Connection, Queue
from kombu.transport import pyamqp

from .amqp import AMQPSource
from .base import Limits, Source
from .virtual import VirtualSource

__all__ = ['Limits', 'Source', 'open_source']


def open_source(connection: Connection, queue: Queue, limits: Limits) -> Source:
    """Open the platform queue by the way that suits its broker.

    :param connection: a connection to the broker.
    :param queue: the platform queue; it is declared.
    :param limits: how large a batch may become, and how long it may take.
    :returns: the source; it is closed with the connection.
    """
    channel = connection.channel()
    queue(channel).declare()
    return _kind(connection)(connection, channel, queue.name, limits)


def _kind(connection: Connection) -> Callable[[Connection, Any, str, Limits], Source]:
    if isinstance(connection.transport, pyamqp.Transport):
        return AMQPSource
    # Their client libraries are there only where they are needed.
    if connection.transport.driver_type == 'sqs':
        from .sqs import SQSSource

        return SQSSource
    if connection.transport.driver_type == 'redis':
        from .redis import RedisSource

        return RedisSource
    return VirtualSource
