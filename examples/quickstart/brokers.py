"""Keeps a quickstart apart on somebody's own broker: it takes only its own messages, and leaves nothing behind.

On Amazon SQS and Redis, all its names get a prefix. On other brokers, the exchange and the platform queue get names of
their own. The work queues keep their names there, because the first part of a task's name is the name of its queue: if
somebody uses one of them, the quickstart stops before it publishes anything.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from kombu import Connection
from kombu.utils.url import maybe_sanitize_url

from .processes import QuickstartError

CONNECT_SECONDS = 5


def environment(url: str, run: str) -> dict[str, str]:
    """Make the environment by which `Config` keeps a run apart on a broker.

    :param url: the broker's URL
    :param run: a name that no other run has
    """
    variables = {
        'QUEUE_PREFIX': run,
        'CELERY_TASK_DEFAULT_EXCHANGE': run,
        'CELERY_PLATFORM_QUEUE_NAME': f'{run}.fifo',
        # Nobody sends commands to these workers, and the queues for commands would leave keys behind on Redis.
        'CELERY_WORKER_ENABLE_REMOTE_CONTROL': 'false',
    }
    if url.startswith(('redis', 'sentinel')):
        options = json.loads(os.environ.get('CELERY_BROKER_TRANSPORT_OPTIONS', '{}'))
        options['global_keyprefix'] = options.get('global_keyprefix', '') + f'{run}.'
        variables['CELERY_BROKER_TRANSPORT_OPTIONS'] = json.dumps(options)
    return variables


def reader(app: Celery) -> Connection:
    """Make a connection that looks into queues and does not wait for a message to come."""
    connection = app.connection_for_read()
    if connection.transport.driver_type == 'sqs':
        connection.transport_options = {**connection.transport_options, 'wait_time_seconds': 0}
    return connection


@contextmanager
def borrowed(app: Celery) -> Iterator[None]:
    """Use a broker for a while, then delete the exchange and the queues that were not there before."""
    try:
        connection = app.connection_for_write()
        connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
    except Exception as error:
        url = maybe_sanitize_url(app.conf.broker_url)
        raise QuickstartError(f'The broker of CELERY_BROKER_URL, {url}, cannot be used: {error}') from error
    with connection:
        is_prefixed = connection.transport.driver_type in ('sqs', 'redis')
        own_queues = [name for name in app.amqp.queues if is_prefixed or not _is_there(app, name, connection)]
    try:
        yield
    finally:
        with app.connection_for_write() as connection:
            queues = [app.amqp.queues[name](connection.default_channel) for name in own_queues]
            # Redis forgets the bindings of a queue only on a connection that has declared them.
            for queue in queues:
                queue.declare()
            for queue in queues:
                queue.delete()
            if connection.transport.driver_type == 'amqp':
                app.amqp.default_exchange(connection.default_channel).delete()


def _is_there(app: Celery, name: str, connection: Connection) -> bool:
    try:
        found = app.amqp.queues[name](connection.channel()).queue_declare(passive=True)
    except connection.channel_errors:
        return False
    if found.message_count or found.consumer_count:
        raise QuickstartError(
            f'Queue {name!r} of the broker at {connection.as_uri()} is in use: it has {found.message_count} messages '
            f'and {found.consumer_count} consumers. Set CELERY_BROKER_URL to a broker or virtual host of your own.'
        )
    return True
