"""A broker in memory that forgets all declarations after each message, as if each came from a new connection."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from kombu import Connection, Queue
from kombu.transport import virtual
from kombu.transport.virtual.exchange import DirectExchange, ExchangeType, FanoutExchange, TopicExchange

from ..seams.kombu_virtual import queues_reached


class Sent(NamedTuple):
    """A published message, and the queues that it reached by the declarations of its producer alone."""

    exchange: str
    routing_key: str
    queues: frozenset[str]
    content_type: str
    headers: dict[str, Any]


class Broker:
    """Records all messages that producers publish on its connections. Each connection has its own exchanges and queues.

    >>> broker = Broker()
    >>> with broker.connection() as connection, connection.Producer() as producer:
    ...     producer.publish({}, routing_key='export', declare=[Queue('export')])
    >>> broker.sent[0].queues
    frozenset({'export'})
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def connection(self) -> Connection:
        """Make a connection to this broker. It opens no socket."""
        return Connection(transport=_Transport, transport_options={'broker': self})


class Bindings:
    """The bindings of an app once it has declared all of its queues.

    :param queues: the queues to declare.
    """

    def __init__(self, queues: Iterable[Queue]) -> None:
        #: The queues that the broker refused to declare, with the error.
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
        """Tell the type of a declared exchange."""
        declared = self._channel.state.exchanges.get(exchange)
        return declared['type'] if declared else None

    def exchanges_of(self, queue: str) -> frozenset[str]:
        """List the exchanges that a queue is bound to."""
        return frozenset(binding.exchange for binding in self._channel.state.queue_bindings(queue))

    def reached(self, exchange: str, routing_key: str) -> frozenset[str]:
        """List the queues that a message reaches."""
        message = exchange, routing_key
        if message not in self._reached:
            self._reached[message] = queues_reached(self._channel, exchange, routing_key)
        return self._reached[message]

    def close(self) -> None:
        self._connection.release()


class _Topic(TopicExchange):
    """A topic exchange that does not use kombu's cache of patterns, which all apps of a process share."""

    def lookup(self, table: Any, exchange: str, routing_key: str, default: Any) -> set[str]:
        return {queue for _, pattern, queue in table if re.match(pattern, routing_key)}


class _Foreign(ExchangeType):
    """An exchange of a type that this broker does not know, such as 'headers'. It routes no message to a queue."""

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
