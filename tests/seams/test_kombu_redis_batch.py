"""The bindings of Redis are looked up for each message, and once for a batch."""

from __future__ import annotations

import pytest
import redis
from kombu import Connection, Exchange, Queue

from cadasta.workertoolbox.seams import kombu_redis, kombu_redis_batch
from rig.servers.broker import Broker
from rig.servers.redis import Redis


class Transport(kombu_redis.Transport):
    Channel = kombu_redis_batch.RememberingChannel


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_batch_looks_bindings_up_once(broker: Broker, redis_server: Redis) -> None:
    def lookups() -> int:
        with redis.Redis(port=redis_server.port) as client:
            calls: int = client.info('commandstats').get('cmdstat_smembers', {'calls': 0})['calls']
        return calls

    exchange = Exchange('tasks', 'topic')
    with Connection(broker.url, transport=Transport) as connection, connection.Producer() as producer:
        for name in ('one', 'two'):
            Queue(name, exchange, routing_key=name)(connection.default_channel).declare()
        before = lookups()
        with producer.batch():
            for key in ('one', 'two', 'one'):
                producer.publish({}, exchange='tasks', routing_key=key)
        assert lookups() - before == 1
        assert [broker.count(name) for name in ('one', 'two')] == [2, 1]
        producer.publish({}, exchange='tasks', routing_key='one')
        assert lookups() - before == 2
