"""Transports and pools lose some tasks by themselves, so the storm leaves out faults and reads books leniently."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import closing

import billiard
import pytest
import redis
from kombu import Connection, Queue

from rig.servers.broker import Broker
from rig.servers.process import accepts_connections, wait_until
from rig.servers.proxy import Proxy


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_redis_loses_the_message_that_is_on_its_way_to_a_consumer(broker: Broker) -> None:
    """Redis takes a message off its list when it sends it; kombu notes it as unacknowledged when it has got it."""
    queue = Queue('export', routing_key='export')
    # So long, in seconds, it waits for a message.
    options = {'polling_interval': 60}
    with (
        Connection(broker.proxied_url, transport_options=options) as connection,
        connection.Consumer(queue, callbacks=[print]),
        closing(redis.Redis.from_url(broker.url)) as client,
        broker.connect() as sender,
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


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
@pytest.mark.parametrize('crash', [False, True])
def test_redis_comes_back_with_its_messages(broker: Broker, crash: bool) -> None:
    """So the storm may restart it. Without its log, it would come back with none."""
    with broker.connect() as connection, connection.SimpleQueue('export') as box:
        box.put({'id': 1})
        broker.restart(0, crash)
        box.put({'id': 2})
    assert broker.count('export') == 2


@pytest.mark.process
def test_refused_connections() -> None:
    with socket.create_server(('127.0.0.1', 0)) as server, closing(Proxy(server.getsockname()[1])) as proxy:
        for _ in range(2):
            assert accepts_connections(proxy.port)
            proxy.refuse()
            assert not accepts_connections(proxy.port)
            proxy.listen()


@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_the_filesystem_broker_forgets_what_it_has_delivered(broker: Broker) -> None:
    with broker.connect() as connection, connection.SimpleQueue('export') as box:
        box.put({'id': 1})
        wait_until(lambda: broker.count('export'), 'the message')
        message = box.get(timeout=10)
        # Whoever is killed now has told nobody.
        assert broker.count('export') == 0
        message.requeue()
        assert broker.count('export') == 1


@pytest.mark.process
def test_a_pool_hangs_when_the_process_that_holds_its_lock_is_killed() -> None:
    """So are the pools of workers on transports without an event loop."""
    # A second one might be killed while it holds the lock of the results.
    pool = billiard.Pool(1)
    assert pool.apply(sum, ([1, 2],)) == 3
    lock = pool._inqueue._rlock

    def is_held() -> bool:
        if lock.acquire(False):
            lock.release()
            return False
        return True

    wait_until(is_held, 'a process to wait for a task')
    (process,) = pool._pool
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with pytest.raises(billiard.TimeoutError):
        pool.apply_async(sum, ([1, 2],)).get(timeout=3)
    lock.release()
    pool.terminate()
    pool.join()
