"""What the transports do by themselves: the reasons why some books are read with leniency."""
from __future__ import annotations

from contextlib import closing

import pytest
import redis
from kombu import Connection, Queue

from ..servers.broker import Broker
from ..servers.process import wait_until


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_redis_loses_the_message_that_is_on_its_way_to_a_consumer(broker: Broker) -> None:
    """Redis takes a message off its list when it sends it; kombu notes it as unacknowledged when it has got it."""
    queue = Queue('export')
    with (
        Connection(broker.proxied_url) as connection, connection.Consumer(queue, callbacks=[print]),
        closing(redis.Redis.from_url(broker.url)) as client, broker.connect() as sender,
    ):
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.5)
        wait_until(lambda: any('brpop' in other['cmd'] for other in client.client_list()), 'BRPOP')
        broker.mute()
        with sender.SimpleQueue(queue) as box:
            box.put({'id': 1})
        wait_until(lambda: client.llen('export') == 0, 'the message to be taken off its list')
        broker.cut()
        assert client.hlen('unacked') == 0
        assert broker.count('export') == 0
