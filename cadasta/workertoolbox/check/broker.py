"""Check that the broker answers, that it has the exchanges and queues of the app, and that messages do not pile up."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

from celery import Celery
from kombu import Connection, Queue
from kombu.transport import pyamqp

from ..durations import written
from ..settings.credentials import masked
from .binding_table import BindingTable
from .finding import Finding, Outcome, Problem, in_order
from .platform_queue import Depth, watch
from .rabbitmq import RabbitMQ

#: The check waits this long for an answer of the broker, in seconds.
TIMEOUT = 3

_CHANGE = (
    'Mend what the error names: start the broker, or look at broker_url, broker_transport_options and the credentials. '
    f'The check waits {written(timedelta(seconds=TIMEOUT))} for an answer.'
)


class Kind(Protocol):
    """Looks at one kind of broker. Its methods change nothing."""

    def obstacles(self) -> Iterator[tuple[str, str]]:
        """Look for what keeps the broker from taking messages, or from keeping them.

        :returns: for each, what the check has seen, and the change that mends it.
        """

    def problems(self, queues: list[Queue]) -> Iterator[Problem]:
        """Look for exchanges and queues that are missing or wrong."""

    def depth(self, queue: str) -> Depth | None:
        """Tell how many messages wait in a queue, or `None` if the broker has no queue of this name."""


def check_broker(app: Celery, platform_queue: str) -> Iterator[Finding]:
    """Check the broker that the app's producers use.

    :param app: the app.
    :param platform_queue: the name of the platform queue, for an app that does not give one itself.
    :returns: the findings.
    """
    with connection_to(app) as connection:
        broker = _Broker(app, connection, app.conf.get('PLATFORM_QUEUE_NAME') or platform_queue)
        yield from in_order(
            'broker',
            {
                'it can be reached': broker.reach,
                'exchanges and queues are there, as they must be': broker.look_at_queues,
                'messages do not pile up in the platform queue': broker.look_at_platform_queue,
            },
            broker.url,
            _CHANGE,
        )


class _Broker:
    def __init__(self, app: Celery, connection: Connection, platform: str) -> None:
        self._app = app
        self._connection = connection
        self._platform = platform
        # kombu masks the password of a URL, but Amazon's credentials may be in other parts of it.
        self.url = str(masked(connection.as_uri()))

    def reach(self) -> Outcome:
        self._connection.ensure_connection(max_retries=1, interval_start=0)
        self._kind = kind_of(self._connection, self._platform)
        obstacles = self._kind.obstacles() if self._kind else ()
        return Outcome(tuple(Problem(self.url, seen, change) for seen, change in obstacles), note=self.url)

    def look_at_queues(self) -> Outcome:
        if self._kind is None:
            return self._mute()
        queues = sorted(self._app.amqp.queues.values(), key=lambda queue: str(queue.name))
        problems = tuple(self._kind.problems(queues))
        return Outcome(problems, note=', '.join(str(queue.name) for queue in queues))

    def look_at_platform_queue(self) -> Outcome:
        kind = self._kind
        if kind is None:
            return self._mute()
        return watch(lambda: kind.depth(self._platform))

    def _mute(self) -> Outcome:
        return Outcome(skipped=f'transport {self._connection.transport.driver_type!r} does not tell other processes')


def connection_to(app: Celery) -> Connection:
    """Make a connection that waits for the broker's answers no longer than `TIMEOUT`.

    :param app: the app, whose producers use this broker.
    """
    client_config = {
        **(app.conf.broker_transport_options.get('client-config') or {}),
        'connect_timeout': TIMEOUT,
        'read_timeout': TIMEOUT,
        'retries': {'total_max_attempts': 1},
    }
    # Each transport takes the options that it knows.
    return app.connection_for_write(
        connect_timeout=TIMEOUT,
        transport_options={
            'read_timeout': TIMEOUT,
            'write_timeout': TIMEOUT,
            'confirm_timeout': TIMEOUT,
            'socket_timeout': TIMEOUT,
            'socket_connect_timeout': TIMEOUT,
            'client-config': client_config,
        },
    )


def kind_of(connection: Connection, platform: str) -> Kind | None:
    """Find out the kind of a broker.

    :param connection: a connection to it.
    :param platform: the name of the platform queue.
    :returns: `None` for a broker that tells other processes nothing.
    """
    if isinstance(connection.transport, pyamqp.Transport):
        return RabbitMQ(connection, platform)
    channel = connection.channel()
    # Only an app on Amazon SQS has the client library that this module imports.
    if connection.transport.driver_type == 'sqs':
        from .sqs import SQS

        return SQS(channel, platform)
    if connection.transport.driver_type == 'redis':
        from .redis import Redis

        return Redis(channel)
    return BindingTable(channel) if connection.transport.driver_type == 'filesystem' else None
