"""The exchange that serves the platform queue first, beside real channels of kombu's transports."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kombu import Connection
from kombu.exceptions import InconsistencyError
from kombu.transport.virtual.exchange import DirectExchange, TopicExchange

from cadasta.workertoolbox.order import PlatformFirst, serve_first

TABLE = [('#', '^.*?$', queue) for queue in ('b', 'platform.fifo', 'a', 'other.fifo', 'c')]


def test_platform_queues_come_first_and_then_the_others_by_their_names() -> None:
    with Connection('memory://') as connection:
        channel = connection.default_channel
        serve_first(channel, 'platform.fifo')
        serve_first(channel, 'other.fifo')
        topic = channel.exchange_types['topic']
        assert isinstance(topic, PlatformFirst)
        assert topic.lookup(TABLE, 'task_exchange', 'export', None) == ['other.fifo', 'platform.fifo', 'a', 'b', 'c']
        assert topic.channel is channel
        assert type(channel.exchange_types['direct']) is DirectExchange


def test_a_binding_that_somebody_has_deleted() -> None:
    """A message of its exchange goes to no queue, because it would not be tracked. Other exchanges need no binding."""
    table = [entry for entry in TABLE if entry[2] != 'platform.fifo']
    with Connection('memory://') as connection:
        channel = connection.default_channel
        serve_first(channel, 'other.fifo', ['task_exchange'])
        serve_first(channel, 'platform.fifo', ['task_exchange', 'exports'])
        topic = channel.exchange_types['topic']
        for exchange in ('task_exchange', 'exports'):
            deleted = f"binding of platform.fifo to exchange '{exchange}'"
            with pytest.raises(InconsistencyError, match=deleted):
                topic.lookup(table, exchange, 'export', None)
            assert topic.lookup(TABLE, exchange, 'export', None)[1] == 'platform.fifo'
        assert topic.lookup(table, 'another', 'export', None) == ['other.fifo', 'a', 'b', 'c']


def test_another_channel_is_as_it_was() -> None:
    with Connection('memory://') as connection:
        serve_first(connection.default_channel, 'platform.fifo')
        assert type(connection.channel().exchange_types['topic']) is TopicExchange


def test_a_transport_keeps_an_exchange_of_its_own() -> None:
    class Own(TopicExchange):
        pass

    own = Own(None)
    channel = SimpleNamespace(exchange_types={'topic': own})
    serve_first(channel, 'platform.fifo')
    assert channel.exchange_types['topic'] is own
