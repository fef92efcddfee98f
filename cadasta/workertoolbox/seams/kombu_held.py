"""What a channel of kombu's holds, and how much it takes: neither is public in kombu."""

from collections.abc import Mapping
from typing import Any


def held(channel: Any) -> Mapping[str, Any]:
    """Tell what was delivered to a channel, and has been neither acknowledged nor rejected.

    :param channel: a channel of one of kombu's virtual transports.
    :returns: the messages, by their delivery tags.
    """
    if channel.closed:
        # It gives back what it held.
        return {}
    qos = channel.qos
    # Other threads change it meanwhile.
    while True:
        try:
            delivered = list(qos._delivered.items())
        except RuntimeError:
            continue
        return {tag: message for tag, message in delivered if tag not in qos._dirty}


def is_held(channel: Any, tag: str) -> bool:
    """Tell whether a message is still held.

    :param channel: the channel.
    :param tag: its delivery tag.
    """
    qos = channel.qos
    return not channel.closed and tag in qos._delivered and tag not in qos._dirty


def take_one_at_a_time(channel: Any) -> None:
    """Let a channel take one message from its broker in each call, and not up to ten.

    A channel holds a message from the moment when it gives it to its worker. A worker that is busy then takes the next
    message of the ten when its task has ended, and until then nobody knows that it has it.

    :param channel: a channel of kombu's SQS transport.
    """
    qos = channel.qos
    estimate = qos.can_consume_max_estimate
    qos.can_consume_max_estimate = lambda: 1 if estimate() is None else min(estimate(), 1)
