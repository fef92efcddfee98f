"""kombu: the lists in which it keeps a queue in Redis, and where it notes what consumers hold."""

import json
from collections import Counter
from typing import Any

import redis


def lists_of(channel: Any, queue: str) -> list[str]:
    """Return the keys of the lists in which kombu keeps a queue. Each step of priority has a list.

    It uses ``channel._q_for_pri``, ``priority_steps`` and ``global_keyprefix``. kombu has no public way to look
    at a message without taking it off its list.

    :param channel: a channel of the Redis transport.
    :param queue: the name of the queue.
    :returns: the keys, with the prefix that all keys of the channel have.
    """
    return [f'{channel.global_keyprefix}{channel._q_for_pri(queue, step)}' for step in channel.priority_steps]


def client_of(channel: Any) -> redis.Redis:
    """Make a client that takes its connections from the pool of a channel.

    It uses ``channel.pool``. The public ``channel.client`` adds the prefix to the keys of some commands, but to no key
    of ``LREM``, and only to the first key of a script.

    :param channel: a channel of the Redis transport.
    :returns: the client. It takes whole keys, with their prefix.
    """
    return redis.Redis(connection_pool=channel.pool)


def held_by_key(channel: Any) -> Counter[str]:
    """Count the messages that consumers have received and not acknowledged yet, by their routing keys.

    It uses ``channel.unacked_key``, the hash in which kombu keeps these messages, and the form of its values: a list
    with the message, the exchange and the routing key. kombu has no public way to look at them.

    :param channel: a channel of the Redis transport.
    :returns: the numbers. They are those of all queues of the database.
    """
    values = client_of(channel).hscan_iter(f'{channel.global_keyprefix}{channel.unacked_key}', count=100)
    return Counter(json.loads(value)[2] for _, value in values)
