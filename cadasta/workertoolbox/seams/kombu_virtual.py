"""kombu: what it does itself on virtual transports, whose brokers have no exchanges: bindings and delivery."""

from typing import Any

from ..architecture import FIFO

#: The property of a message that Amazon SQS takes for the group of the message.
GROUP = 'MessageGroupId'


class FIFOGroup(str):
    """A group of messages that is for FIFO queues alone."""

    __slots__ = ()


def group_in_fifo_queues_only(channel: Any) -> None:
    """Let a channel put messages into standard queues without their group, if it is a `FIFOGroup`.

    It replaces ``channel._put``. kombu gives the properties of a message to all queues that the message reaches, and
    Amazon SQS makes a fair queue, which costs more, of a standard queue whose messages have a group.

    :param channel: a channel of the SQS transport.
    """
    if '_put' in vars(channel):
        return
    put = channel._put

    def put_without_group(queue: str, message: dict[str, Any], **options: Any) -> None:
        properties = message.get('properties', {})
        if not queue.endswith(FIFO) and type(properties.get(GROUP)) is FIFOGroup:
            without = {name: value for name, value in properties.items() if name != GROUP}
            message = {**message, 'properties': without}
        put(queue, message, **options)

    channel._put = put_without_group


def shares_bindings(channel: Any) -> bool:
    """Tell whether all connections of the process share one table of bindings, which has no lock.

    It uses the attribute ``global_state``, by which the memory and filesystem transports share their table. A
    transport has no public attribute that tells.

    :param channel: a channel.
    """
    return hasattr(channel.connection, 'global_state')


def bindings_to(channel: Any, exchange: str) -> set[tuple[str, str]]:
    """Tell which queues are bound to an exchange.

    It uses the form of the result of ``channel.get_table``. kombu documents the method, and not its result.

    :param channel: a channel of a virtual transport.
    :param exchange: the name of the exchange.
    :returns: pairs of a routing key and the name of a queue.
    """
    return {(key, queue) for key, _, queue in channel.get_table(exchange)}


def queues_reached(channel: Any, exchange: str, routing_key: str) -> frozenset[str]:
    """List the queues that a message reaches.

    It uses ``channel._lookup``, which kombu calls to deliver a message. Each public method needs a message.

    :param channel: a channel of a virtual transport.
    :param exchange: the exchange that the message is sent to.
    :param routing_key: the routing key of the message.
    """
    return frozenset(filter(None, channel._lookup(exchange, routing_key)))


def waiting(channel: Any, queue: str) -> int:
    """Count the messages that wait in a queue.

    It uses ``channel._size``. A passive declaration counts them as well, but fails on Redis with the transport option
    ``global_keyprefix``: kombu looks for the queue without its prefix and finds none.

    :param channel: a channel of a virtual transport.
    :param queue: the name of the queue.
    """
    return int(channel._size(queue))
