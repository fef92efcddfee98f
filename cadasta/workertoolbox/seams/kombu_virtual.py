"""kombu: the bindings of transports that have no broker with exchanges, but keep a table of bindings themselves."""

from typing import Any


def shares_bindings(channel: Any) -> bool:
    """Tell whether all connections of the process share one table of bindings, which no lock guards.

    It stands for the attribute ``global_state``, by which the memory and filesystem transports share their table. No
    public attribute of a transport tells.

    :param channel: a channel.
    """
    return hasattr(channel.connection, 'global_state')


def bindings_to(channel: Any, exchange: str) -> set[tuple[str, str]]:
    """Tell which queues are bound to an exchange.

    It stands for the form of what ``channel.get_table`` returns. kombu describes the method, and not its result.

    :param channel: a channel of a virtual transport.
    :param exchange: the name of the exchange.
    :returns: pairs of a routing key and the name of a queue.
    """
    return {(key, queue) for key, _, queue in channel.get_table(exchange)}


def queues_reached(channel: Any, exchange: str, routing_key: str) -> frozenset[str]:
    """Tell the queues that a message reaches.

    It stands for ``channel._lookup``, which kombu calls to deliver a message. No public method goes without a message.

    :param channel: a channel of a virtual transport.
    :param exchange: the exchange that the message is sent to.
    :param routing_key: the routing key of the message.
    """
    return frozenset(filter(None, channel._lookup(exchange, routing_key)))


def waiting(channel: Any, queue: str) -> int:
    """Count the messages that wait in a queue.

    It stands for ``channel._size``. A passive declaration counts them as well, but not on Redis with the transport
    option ``global_keyprefix``: kombu looks for the queue without its prefix there, and finds none.

    :param channel: a channel of a virtual transport.
    :param queue: the name of the queue.
    """
    return int(channel._size(queue))
