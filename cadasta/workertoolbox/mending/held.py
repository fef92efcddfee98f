"""Ask a broker what its work queues hold: messages that wait, and messages that consumers have received."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from celery import Celery
from celery.exceptions import QueueNotFound
from kombu import Connection

from ..check.binding_table import BindingTable
from ..check.broker import kind_of
from ..check.platform_queue import Depth
from ..errors import NotConfigured, NotUsable
from ..seams.kombu_virtual import bindings_to
from ..topology import Topology
from .management import Management

_PATTERNS = frozenset('*#')


class Held(NamedTuple):
    """What the broker tells of the messages with one routing key.

    :param messages: how many it has; `None` where it does not tell.
    :param doubt: why it may have more.

    >>> Held(0).is_nothing, Held(0, 'two workers may hold some').is_nothing
    (True, False)
    """

    messages: int | None
    doubt: str = ''

    @property
    def is_nothing(self) -> bool:
        """Whether the broker has none of them for certain."""
        return self.messages == 0 and not self.doubt


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
        found = {key: self._waiting(key, is_running) for key in keys}
        if self._transport != 'redis':
            return found
        # Only an app on Redis has the client library that this module imports.
        from ..seams.redis import held_by_key

        # kombu notes here a message that it has taken off its list, so this comes second.
        in_hands = held_by_key(self._channel)
        return {key: self._with_received(key, held, in_hands) for key, held in found.items()}

    def untracked(self) -> Depth | None:
        """Count the messages that the platform queue still has; `None` where there is no such queue."""
        return self._kind.depth(str(self.platform)) if self._kind else None

    def dead_letters(self) -> Iterator[DeadLetters]:
        """Count the messages that the broker has given up, where it tells."""
        for queue in self._topology.queues:
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

    def _waiting(self, key: str | None, is_running: bool) -> Held:
        if self._kind is None:
            return Held(None, f'a broker of the transport {self._transport!r} tells other processes nothing')
        if key is None:
            return Held(None, 'its row has no routing key')
        try:
            name = self._topology.declaration('', key).name
        except QueueNotFound:
            return Held(None, f'this app has no queue for the routing key {key!r}: run the command with one that has')
        if isinstance(self._kind, BindingTable):
            waiting = sum(self._kind.depth(queue).waiting for queue in self._names(key, name))
            if self._transport == 'filesystem' and is_running:
                return Held(waiting, 'a worker that is busy may hold messages, and their files are gone')
            return Held(waiting)
        depth = self._kind.depth(name)
        if depth is None:
            return Held(None, f'the broker has no queue {name!r}')
        if self._transport == 'amqp':
            return self._of_rabbitmq(name, depth, is_running)
        return Held(depth.waiting + depth.received + depth.delayed)

    def _names(self, key: str, name: str) -> set[str]:
        """List the queues that may have got a message with a routing key, by the bindings that kombu keeps."""
        bound = bindings_to(self._channel, self._topology.exchange.name)
        found = {queue for pattern, queue in bound if pattern == key or not _PATTERNS.isdisjoint(pattern)}
        return (found | {name}) - {self.platform}

    def _with_received(self, key: str | None, held: Held, in_hands: Counter[str]) -> Held:
        if held.messages is None or key is None:
            return held
        # A copy that comes back goes to its queue by name.
        names = {key, *self._names(key, self._topology.declaration('', key).name)}
        return Held(held.messages + sum(in_hands[name] for name in names), held.doubt)

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
