"""Sources of messages: each kind of transport has a way to take batches from the platform queue."""

from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery
from kombu import Connection, Queue
from kombu.transport import pyamqp

from ...seams.amqp_frames import tolerant_frame_handler
from ...timeouts import BROKER
from ..bounds import KEPT, MAX_BODY
from .amqp import AMQPSource
from .base import Limits, Source
from .virtual import VirtualSource

__all__ = ['Limits', 'Source', 'connection_of', 'errors_of', 'open_source']


def connection_of(app: Celery) -> Connection:
    """Make a connection that delivers every message of the platform queue, even one with unreadable properties.

    :param app: the app.
    :returns: the connection. It connects at its first use.
    """
    connection = app.connection_for_read(heartbeat=app.conf.broker_heartbeat)
    timeouts = BROKER.get(connection.transport.driver_type, {})
    connection.transport_options = {**timeouts, **connection.transport_options}
    if isinstance(connection.transport, pyamqp.Transport):
        connection.transport_options['frame_handler'] = partial(tolerant_frame_handler, longest=MAX_BODY, kept=KEPT)
    return connection


def errors_of(connection: Connection) -> tuple[type[Exception], ...]:
    """List the errors that a client raises while the broker is away, also when it tries to connect.

    :param connection: a connection to the broker.
    """
    errors = (*connection.connection_errors, *connection.channel_errors)
    if connection.transport.driver_type == 'sqs':
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # has no types

        # boto3 raises it for an answer of SQS that reports an error. kombu does not list it as an error of connections.
        return (*errors, ClientError)
    return errors


def open_source(connection: Connection, queue: Queue, limits: Limits) -> Source:
    """Declare the platform queue, and open the source that suits its broker.

    :param connection: a connection to the broker.
    :param queue: the platform queue.
    :param limits: the limits of a batch, in size and in time.
    :returns: the source. It closes with the connection.
    """
    channel = connection.channel()
    queue(channel).declare()
    return _kind(connection)(connection, channel, queue.name, limits)


def _kind(connection: Connection) -> Callable[[Connection, Any, str, Limits], Source]:
    if isinstance(connection.transport, pyamqp.Transport):
        return AMQPSource
    # Only an app on one of these brokers has the client library that its module imports.
    if connection.transport.driver_type == 'sqs':
        from .sqs import SQSSource

        return SQSSource
    if connection.transport.driver_type == 'redis':
        from .redis import RedisSource

        return RedisSource
    return VirtualSource
