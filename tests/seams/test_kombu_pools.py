"""The pools of kombu, emptied in a process that was forked and in one that was not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from celery import Celery
from kombu import Connection, pools

from cadasta.workertoolbox.seams import kombu_pools
from cadasta.workertoolbox.seams.kombu_pools import empty_pools, is_pooled


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    for group in (pools.connections, pools.producers):
        kept = dict(group)
        group.clear()
        monkeypatch.setattr(group, 'kept_by_the_test', kept, raising=False)
    yield Connection('memory://')
    for group in (pools.connections, pools.producers):
        group.clear()
        group.update(group.kept_by_the_test)


def test_an_emptied_pool_makes_new_connections(connection: Connection) -> None:
    pool = pools.connections[connection]
    with pool.acquire() as old:
        assert old.connect()
    empty_pools()
    assert pools.connections[connection] is pool
    with pool.acquire() as new:
        assert new is not old
    assert old.connected


def test_an_emptied_pool_is_not_short_of_what_was_held(connection: Connection) -> None:
    pool = pools.producers[connection]
    limit = pool.limit
    held = [pool.acquire() for _ in range(limit)]
    with pytest.raises(pool.LimitExceeded):
        pool.acquire()
    empty_pools()
    assert len({id(pool.acquire()) for _ in range(limit)} - set(map(id, held))) == limit


def test_a_lock_that_nobody_will_release_is_left_behind(connection: Connection) -> None:
    pool = pools.connections[connection]
    pool._resource.mutex.acquire()
    empty_pools()
    done = threading.Event()

    def acquire() -> None:
        pool.acquire()
        done.set()

    threading.Thread(target=acquire, daemon=True).start()
    assert done.wait(60)


def test_kombu_itself_would_close_the_connections(connection: Connection) -> None:
    pool = pools.connections[connection]
    with pool.acquire() as old:
        assert old.connect()
    pools.reset()
    assert not old.connected


def test_a_pool_makes_connections_of_its_class() -> None:
    class Pooled(kombu_pools.Pooled):
        pass

    pool = kombu_pools.PoolOf(Pooled, Connection('memory://', transport_options={'polling_interval': 1}), 3)
    connection = pool.acquire()
    assert type(connection) is Pooled
    assert connection.transport_options == {'polling_interval': 1}
    assert pool.limit == 3
    connection.release()
    # kombu's own pool makes connections of another class.
    assert type(Connection('memory://').Pool(1).acquire()) is kombu_pools.Pooled


def test_the_pools_of_an_app(connection: Connection) -> None:
    app = Celery(broker='memory://', set_as_current=False)
    lost = kombu_pools.PoolOf(kombu_pools.Pooled, app.connection_for_write(), 1)
    elsewhere = kombu_pools.PoolOf(kombu_pools.Pooled, Connection('memory://elsewhere'), 1)
    with app.pool.acquire() as own, lost.acquire() as of_a_thread, kombu_pools.spare(app.pool) as beyond:
        assert all(is_pooled(pooled, app) for pooled in (own, of_a_thread, beyond))
    with elsewhere.acquire() as other, kombu_pools.spare(elsewhere) as beyond:
        assert not any(is_pooled(pooled, app) for pooled in (other, beyond, app.connection_for_write()))


def test_a_spare_connection_is_closed(connection: Connection) -> None:
    pool = kombu_pools.PoolOf(kombu_pools.Pooled, connection, 1)
    with pool.acquire() as of_pool, kombu_pools.spare(pool) as beyond:
        assert beyond.connect()
    assert not beyond.connected
    assert pool.acquire() is of_pool
