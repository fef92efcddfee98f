"""How kombu keeps a queue in Redis."""

from __future__ import annotations

import pytest
from kombu import Connection, Queue

from cadasta.workertoolbox.seams import redis
from rig.servers.broker import Broker


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
@pytest.mark.parametrize('prefix', ['', 'ours:'])
def test_the_lists_hold_what_was_sent_with_any_priority(broker: Broker, prefix: str) -> None:
    options = {**broker.options, 'global_keyprefix': prefix}
    with Connection(broker.url, transport_options=options) as connection, connection.Producer() as producer:
        for priority in range(10):
            producer.publish({}, routing_key='seams', priority=priority, declare=[Queue('seams')])
        channel = connection.default_channel
        lists, client = redis.lists_of(channel, 'seams'), redis.client_of(channel)
        assert {key.decode() for key in client.keys(f'{prefix}seams*')} == set(lists)
        assert sum(client.llen(key) for key in lists) == 10
        for key in lists:
            message = client.lindex(key, 0)
            assert client.lrem(key, 1, message) == 1
        assert sum(client.llen(key) for key in lists) == 10 - len(lists)


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
@pytest.mark.parametrize('prefix', ['', 'ours:'])
def test_the_ids_of_what_waits_and_of_what_was_received(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**broker.options, 'global_keyprefix': prefix}
    with Connection(broker.url, transport_options=options) as connection, connection.Producer() as producer:
        channel = connection.default_channel
        for number in range(4):
            message = {'headers': {'id': f'{number}'}} if number else {'correlation_id': '0'}
            producer.publish({}, routing_key='seams', priority=number, declare=[Queue('seams')], **message)
        assert list(redis.received_ids(channel)) == []
        monkeypatch.setattr(redis, '_BATCH', 2)
        redis.client_of(channel).lpush(f'{prefix}seams', 'hello', '5')
        assert sorted(redis.waiting_ids(channel, 'seams', 10)) == ['', '', '0', '1', '2', '3']
        assert redis.waiting_ids(channel, 'seams', 2) == ['', '', '3']
        message = channel.basic_get('seams')
        assert list(redis.received_ids(channel)) == [('seams', '0')]
        assert len(redis.waiting_ids(channel, 'seams', 10)) == 5
        message.ack()
        assert list(redis.received_ids(channel)) == []
