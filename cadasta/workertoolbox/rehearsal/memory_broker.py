"""A broker in memory that forgets what a producer has declared, as if each message came from a new connection."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from kombu import Connection, Queue
from kombu.transport import virtual
from kombu.transport.virtual.exchange import DirectExchange, ExchangeType, FanoutExchange, TopicExchange

from ..seams.kombu_virtual import queues_reached


class Sent(NamedTuple):
    """A message that was published, and the queues it reached with what its producer had declared."""

    exchange: str
    routing_key: str
    queues: frozenset[str]
    content_type: str
    headers: dict[str, Any]


class Broker:
    """Keeps note of all that is published on its connections; each of its connections has a topology of its own.

    >>> broker = Broker()
    >>> with broker.connection() as connection, connection.Producer() as producer:
    ...     producer.publish({}, routing_key='export', declare=[Queue('export')])
    >>> broker.sent[0].queues
    frozenset({'export'})
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def connection(self) -> Connection:
        """Make a connection to this broker: no socket is opened."""
        return Connection(transport=_Transport, transport_options={'broker': self})


class Bindings:
    """What is bound to what when everybody has declared their queues.

    :param queues: the queues to declare.
    """

    def __init__(self, queues: Iterable[Queue]) -> None:
        #: The queues that could not be declared, with the reason.
        self.refused: dict[str, Exception] = {}
        self._reached: dict[tuple[str, str], frozenset[str]] = {}
        self._connection = Broker().connection()
        self._channel = self._connection.default_channel
        for queue in queues:
            try:
                queue(self._channel).declare()
            except Exception as error:
                self.refused[queue.name] = error

    def type_of(self, exchange: str) -> str | None:
        """Tell the type that an exchange was declared with."""
        declared = self._channel.state.exchanges.get(exchange)
        return declared['type'] if declared else None

    def exchanges_of(self, queue: str) -> frozenset[str]:
        """Tell the exchanges that a queue is bound to."""
        return frozenset(binding.exchange for binding in self._channel.state.queue_bindings(queue))

    def reached(self, exchange: str, routing_key: str) -> frozenset[str]:
        """Tell the queues that a message reaches."""
        message = exchange, routing_key
        if message not in self._reached:
            self._reached[message] = queues_reached(self._channel, exchange, routing_key)
        return self._reached[message]

    def close(self) -> None:
        self._connection.release()


class _Topic(TopicExchange):
    """A topic exchange that leaves kombu's cache of patterns alone: the process has only one."""

    def lookup(self, table: Any, exchange: str, routing_key: str, default: Any) -> set[str]:
        return {queue for _, pattern, queue in table if re.match(pattern, routing_key)}


class _Foreign(ExchangeType):
    """An exchange of a type that only some broker knows, such as 'headers': no task gets through it."""

    def lookup(self, table: Any, exchange: Any, routing_key: Any, default: Any) -> set[str]:
        return set()


class _Channel(virtual.Channel):
    exchange_types = {  # noqa: RUF012  # a mapping on the class, as kombu has it
        'direct': DirectExchange,
        'topic': _Topic,
        'fanout': FanoutExchange,
        '': _Foreign,
    }

    def typeof(self, exchange: str, default: str = 'direct') -> ExchangeType:
        declared = self.state.exchanges.get(exchange)
        type_ = declared['type'] if declared else default
        return self.exchange_types.get(type_, self.exchange_types[''])

    def basic_publish(self, message: dict[str, Any], exchange: str, routing_key: str, **kwargs: Any) -> None:
        connection = self.connection.client
        connection.transport_options['broker'].sent.append(
            Sent(
                exchange,
                routing_key,
                queues_reached(self, exchange, routing_key),
                message['content-type'],
                message['headers'],
            )
        )
        connection.declared_entities.clear()
        self.state.clear()


class _Transport(virtual.Transport):
    Channel = _Channel
