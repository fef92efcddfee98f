"""kombu: the messages that a channel holds, and the number that it takes in one call."""

from collections.abc import Mapping
from typing import Any


def held(channel: Any) -> Mapping[str, Any]:
    """List the messages that a channel has delivered and its consumer has neither acknowledged nor rejected.

    :param channel: a channel of one of kombu's virtual transports.
    :returns: the messages, by their delivery tags.
    """
    if channel.closed:
        # A channel gives back its messages when it is closed.
        return {}
    qos = channel.qos
    # Other threads may change the dictionary while this one reads it, and Python raises a RuntimeError then.
    while True:
        try:
            delivered = list(qos._delivered.items())
        except RuntimeError:
            continue
        return {tag: message for tag, message in delivered if tag not in qos._dirty}


def is_held(channel: Any, tag: str) -> bool:
    """Tell whether a channel still holds a message.

    :param channel: the channel.
    :param tag: the delivery tag of the message.
    """
    qos = channel.qos
    return not channel.closed and tag in qos._delivered and tag not in qos._dirty


def take_one_at_a_time(channel: Any) -> None:
    """Let a channel take one message from its broker in each call instead of up to ten.

    A channel lists a message as held once it has delivered the message to its worker. A busy worker takes the second of
    ten messages when the task of the first has ended. Until then, the channel does not list the other nine, and
    nobody renews their leases.

    :param channel: a channel of kombu's SQS transport.
    """
    qos = channel.qos
    estimate = qos.can_consume_max_estimate
    qos.can_consume_max_estimate = lambda: 1 if estimate() is None else min(estimate(), 1)
