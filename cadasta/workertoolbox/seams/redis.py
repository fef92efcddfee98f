"""kombu: the lists in which it keeps a queue in Redis, and where it notes what consumers hold."""

import json
from collections.abc import Iterator
from typing import Any

import redis

# So many messages are read in one call.
_BATCH = 500


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


def waiting_ids(channel: Any, queue: str, most: int) -> list[str]:
    """List the ids of the tasks whose messages wait in a queue.

    :param channel: a channel of the Redis transport.
    :param queue: the name of the queue.
    :param most: how many messages to read of each list, at most.
    """
    client = client_of(channel)
    found: list[str] = []
    for key in lists_of(channel, queue):
        # Messages come at the beginning of a list, and are taken at its end: this reads none too few.
        for start in range(0, most, _BATCH):
            some = client.lrange(key, start, start + _BATCH - 1)
            found += map(_id_of, some)
            if len(some) < _BATCH:
                break
    return found


def received_ids(channel: Any) -> Iterator[tuple[str, str]]:
    """List the tasks whose messages consumers have received and not acknowledged yet.

    It uses ``channel.unacked_key``, the hash in which kombu keeps these messages, and the form of its values: a list
    with the message, the exchange and the routing key. kombu has no public way to look at them.

    :param channel: a channel of the Redis transport.
    :returns: the routing key and the id of each, for all queues of the database.
    """
    values = client_of(channel).hscan_iter(f'{channel.global_keyprefix}{channel.unacked_key}', count=_BATCH)
    for _, value in values:
        message, _, routing_key = json.loads(value)
        yield routing_key, _id_in(message)


def _id_of(raw: bytes | str) -> str:
    try:
        return _id_in(json.loads(raw))
    except ValueError:
        # Another program may put anything into a list.
        return ''


def _id_in(message: Any) -> str:
    try:
        # The first protocol of Celery has no headers.
        return str(message['headers'].get('id') or message['properties'].get('correlation_id'))
    except (AttributeError, KeyError, TypeError):
        return ''
