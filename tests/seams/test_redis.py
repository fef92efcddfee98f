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
