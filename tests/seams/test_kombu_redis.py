"""kombu meets a Redis that is full, and one that goes away."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from redis.exceptions import OutOfMemoryError

from cadasta.workertoolbox.seams import kombu_redis
from rig.servers.broker import Broker

pytestmark = pytest.mark.parametrize('broker', ['redis'], indirect=True)


class Channel(kombu_redis.OpenChannel):
    QoS = kombu_redis.OpenQoS


class Transport(kombu_redis.Transport):
    Channel = Channel


def fill(connection: Connection) -> Any:
    """Takes a message from a queue that has two, and fills Redis."""
    channel = connection.default_channel
    with connection.Producer() as producer:
        for _ in range(2):
            producer.publish({}, routing_key='seams', declare=[Queue('seams')])
    message = channel.basic_get('seams')
    channel.client.config_set('maxmemory', 1)
    return message


def lose(connection: Connection, broker: Broker) -> None:
    """Holds a message, hears broadcasts as each worker does, and loses Redis. Then it closes what it has."""
    held: list[Any] = []
    with connection.Producer() as producer:
        producer.publish({}, routing_key='seams', declare=[Queue('seams')])
    news = Queue('news', Exchange('news', 'fanout'), auto_delete=True)
    # A consumer that Python has collected hears nothing.
    consumers = [
        connection.Consumer(queue, channel=channel, callbacks=[lambda body, message: held.append(message)])
        for queue, channel in ((Queue('seams'), connection.default_channel), (news, connection.channel()))
    ]
    for consumer in consumers:
        consumer.consume()
    # It has the message, and waits for more of both kinds.
    with suppress(TimeoutError):
        while True:
            connection.drain_events(timeout=0.2)
    assert held
    broker.refuse()
    # A worker does both.
    connection.collect()
    connection.close()


def test_kombu_does_less(broker: Broker) -> None:
    """This seam may go once kombu does this itself."""
    with broker.connect() as connection:
        message = fill(connection)
        try:
            with pytest.raises(OutOfMemoryError):
                connection.default_channel.queue_declare('seams')
            with pytest.raises(OutOfMemoryError):
                message.ack()
            with pytest.raises(OutOfMemoryError):
                connection.default_channel.basic_get('seams')
        finally:
            connection.default_channel.client.config_set('maxmemory', 0)
        # The second message is neither in the queue nor noted.
        assert connection.default_channel.queue_declare('seams').message_count == 0
        assert connection.default_channel.client.hlen('unacked') == 1


def test_kombu_does_not_close_a_connection_that_broke(broker: Broker) -> None:
    """The override of `_connparams` may go once kombu does."""
    with pytest.raises(AttributeError):
        lose(Connection(broker.proxied_url), broker)
    broker.listen()


def test_a_connection_that_broke_is_closed(broker: Broker) -> None:
    lose(Connection(broker.proxied_url, transport=Transport), broker)
    broker.listen()
    with broker.connect() as connection:
        # Redis gives the message to another consumer after the visibility timeout.
        assert connection.default_channel.client.hlen('unacked') == 1


def test_a_full_redis_counts_and_forgets(broker: Broker) -> None:
    with Connection(broker.url, transport=Transport) as connection:
        message = fill(connection)
        channel = connection.default_channel
        try:
            assert channel.queue_declare('seams').message_count == 1
            message.ack()
        finally:
            channel.client.config_set('maxmemory', 0)
        assert channel.client.hlen('unacked') == channel.client.zcard('unacked_index') == 0


def test_what_is_held_and_not_noted_is_put_back(broker: Broker) -> None:
    with Connection(broker.url, transport=Transport) as connection:
        message = fill(connection)
        channel = connection.default_channel
        channel.client.config_set('maxmemory', 0)
        channel.qos.hold(message, 'mine')
        assert 'mine' in channel.qos._delivered
        channel.qos.put_back(message)
        assert channel.queue_declare('seams').message_count == 2
        channel.qos._delivered.pop('mine')
        message.reject(requeue=True)
        assert channel.queue_declare('seams').message_count == 3
