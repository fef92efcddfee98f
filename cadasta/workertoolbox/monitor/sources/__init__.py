"""Where messages come from: a way to take batches from the platform queue for each kind of transport."""

from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu import Connection, Queue
from kombu.transport import pyamqp

from ...seams.amqp_frames import tolerant_frame_handler
from ...timeouts import BROKER
from .amqp import AMQPSource
from .base import Limits, Source
from .virtual import VirtualSource

__all__ = ['Limits', 'Source', 'connection_of', 'errors_of', 'open_source']


def connection_of(app: Celery) -> Connection:
    """Make a connection that brings whatever the platform queue may hold.

    :param app: the app.
    :returns: the connection; it connects when it is used.
    """
    connection = app.connection_for_read(heartbeat=app.conf.broker_heartbeat)
    timeouts = BROKER.get(connection.transport.driver_type, {})
    connection.transport_options = {**timeouts, **connection.transport_options}
    if isinstance(connection.transport, pyamqp.Transport):
        connection.transport_options['frame_handler'] = tolerant_frame_handler
    return connection


def errors_of(connection: Connection) -> tuple[type[Exception], ...]:
    """Tell what is raised while the broker is away, when it is connected to as well.

    :param connection: a connection to the broker.
    """
    errors = (*connection.connection_errors, *connection.channel_errors)
    if connection.transport.driver_type == 'sqs':
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # has no types

        # An answer that says that it is away. To kombu it is no error of the connection.
        return (*errors, ClientError)
    return errors


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
