"""Ask a broker what its work queues hold: messages that wait, and messages that consumers have received."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from celery import Celery
from celery.exceptions import QueueNotFound
from kombu import Connection

from ..check.broker import kind_of
from ..check.platform_queue import Depth
from ..errors import NotConfigured, NotUsable
from ..seams.kombu_virtual import bindings_to
from ..topology import Topology
from .answers import Held
from .management import Management


class DeadLetters(NamedTuple):
    """A queue in which a broker puts the messages that it gives up.

    :param queue: the work queue.
    :param dead_letter_queue: the queue that gets its messages.
    :param messages: how many there are.
    """

    queue: str
    dead_letter_queue: str
    messages: int


class WorkQueues:
    """The work queues of an app at its broker.

    :param app: an app that is configured by a `cadasta.workertoolbox.conf.Config`.
    :param connection: a connection to the broker.
    :param management: the URL of RabbitMQ's management plugin.
    :raises NotConfigured: where the app is configured by something else.
    :raises NotUsable: where the URL is none, or the broker is not RabbitMQ.
    """

    def __init__(self, app: Celery, connection: Connection, management: str | None = None) -> None:
        # Celery configures an app at the first use of its settings.
        self.platform: str | None = app.conf.get('PLATFORM_QUEUE_NAME')
        topology = getattr(app.loader.conf, 'topology', None)
        if not isinstance(topology, Topology) or self.platform is None:
            raise NotConfigured(f'App {app.main!r} is not configured by a Config, so nobody knows its work queues')
        self._topology = topology
        self._transport = connection.transport.driver_type
        if management and self._transport != 'amqp':
            raise NotUsable(f'--management is for RabbitMQ, and the broker is {self._transport}')
        self._kind = kind_of(connection, self.platform)
        self._management = Management(management, connection.virtual_host) if management else None
        self._channel = connection.channel()

    def look(self, keys: Collection[str | None], is_running: bool) -> dict[str | None, Held]:
        """Ask the broker what it has.

        :param keys: routing keys.
        :param is_running: whether any worker runs a task. A worker that ends runs its tasks to their end, and until
            then keeps what it has received, although it consumes nothing any more.
        :returns: the answer for each routing key.
        """
        names: dict[str, str] = {}
        found: dict[str | None, Held] = {}
        for key in keys:
            if key is None:
                found[key] = Held(None, 'its row has no routing key')
                continue
            try:
                names[key] = str(self._topology.declaration('', key).name)
            except QueueNotFound:
                doubt = f'this app has no queue for its routing key, {key!r}: run the command with an app that has'
                found[key] = Held(None, doubt)
        if self._transport == 'redis':
            # Only an app on Redis has the client library that this module imports.
            from .redis_queues import look

            # kombu keeps the bindings of all apps. A queue that another app has bound may have the message.
            bound = bindings_to(self._channel, self._topology.exchange.name)
            queues = {key: {name, *(queue for other, queue in bound if other == key)} for key, name in names.items()}
            return found | look(self._channel, queues)
        return found | {key: self._look(name, is_running) for key, name in names.items()}

    def untracked(self) -> Depth | None:
        """Count the messages that the platform queue still has; `None` where there is no such queue."""
        return self._kind.depth(str(self.platform)) if self._kind else None

    def depths(self, names: Iterable[str]) -> dict[str, Depth]:
        """Count the messages in the work queues of the app, and in others; without those that are not there.

        :param names: the names of the others.
        """
        kind = self._kind
        if kind is None:
            return {}
        known = {str(queue.name) for queue in self._topology.queues}
        found = {name: kind.depth(name) for name in sorted({*known, *names} - {str(self.platform)})}
        return {name: depth for name, depth in found.items() if depth is not None}

    def dead_letters(self) -> Iterator[DeadLetters]:
        """Count the messages that the broker has given up, where it tells."""
        for queue in sorted(self._topology.queues, key=lambda queue: str(queue.name)):
            found = self._dead_letters(queue)
            if found is not None and found[1]:
                yield DeadLetters(queue.name, *found)

    def _dead_letters(self, queue: Any) -> tuple[str, int] | None:
        kind: Any = self._kind
        if self._transport == 'sqs':
            found: tuple[str, int] | None = kind.dead_letters(queue.name)
            return found
        arguments = queue.queue_arguments or {}
        # Any other exchange may have any queues.
        if self._transport != 'amqp' or arguments.get('x-dead-letter-exchange') != '':
            return None
        name = arguments.get('x-dead-letter-routing-key') or queue.routing_key
        depth = kind.depth(name)
        return None if depth is None else (name, depth.waiting)

    def _look(self, name: str, is_running: bool) -> Held:
        if self._kind is None:
            return Held(None, f'a broker of the transport {self._transport!r} tells other processes nothing')
        depth = self._kind.depth(name)
        if depth is None:
            return Held(None, f'the broker has no queue {name!r}')
        if self._transport == 'amqp':
            return self._of_rabbitmq(name, depth, is_running)
        if self._transport == 'filesystem' and is_running:
            return Held(depth.waiting, 'a worker that is busy may hold messages, and their files are gone')
        return Held(depth.waiting + depth.received + depth.delayed)

    def _of_rabbitmq(self, name: str, depth: Depth, is_running: bool) -> Held:
        if self._management is not None:
            messages = self._management.messages(name)
            if messages is None:
                return Held(depth.waiting, f'RabbitMQ has not counted yet what consumers of {name!r} hold')
            return Held(max(messages, depth.waiting))
        if depth.consumers:
            return Held(
                depth.waiting,
                f'the {depth.consumers} consumers of {name!r} may hold messages, which RabbitMQ tells with '
                '--management only',
            )
        if is_running:
            return Held(depth.waiting, 'a worker that is about to end may hold messages, because a task runs')
        return Held(depth.waiting)
