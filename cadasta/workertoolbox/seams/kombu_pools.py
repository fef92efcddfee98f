"""kombu: the pools of connections and producers that the apps of a process share."""

from queue import LifoQueue
from typing import Any

from celery import Celery
from kombu.connection import ConnectionPool, PooledConnection
from kombu.pools import connections, producers
from kombu.utils.collections import eqhash

#: The class of the connections in a pool of kombu.
Pooled: type[Any] = PooledConnection

# A connection that is closed shuts the socket down, for the process that opened it as well.
_kept: list[Any] = []


class PoolOf(ConnectionPool):
    """A pool of connections of a class, which is a subclass of `Pooled`.

    It uses ``connection._info``, as the pools of kombu do. They make connections of one class only, whatever the class
    of the connection is that they are for.

    :param kind: the class.
    :param connection: the connection that the pool is for.
    :param limit: the largest number of its connections.
    """

    def __init__(self, kind: Any, connection: Any, limit: int | None = None, **kwargs: Any) -> None:
        self._kind = kind
        # kombu adds to the options of the connection later, and finds no pool by them any more.
        self.key = eqhash(connection)
        super().__init__(connection, limit, **kwargs)

    def new(self) -> Any:
        """Make a connection."""
        return self._kind(self, **dict(self.connection._info(resolve=False)))


def spare(pool: PoolOf) -> Any:
    """Make a connection like those of a pool, beyond its limit. It is closed when it is released.

    :param pool: the pool.
    """
    connection = pool.connection.clone()
    connection._pool = pool
    return connection


def is_pooled(connection: Any, app: Celery) -> bool:
    """Tell whether a connection is of the pools of an app, or their `spare`.

    It uses ``connection._pool``. Two threads that begin at once make a pool each, and the app keeps one of them. So
    this compares the key by which kombu finds a pool, too. The connections themselves say nothing, because a list of
    servers makes one that has gone to the next server differ.

    :param connection: the connection.
    :param app: the app.
    """
    pool = getattr(connection, '_pool', None)
    if pool is None or pool in (app.pool, app.producer_pool.connections):
        return pool is not None
    return isinstance(pool, PoolOf) and bool(pool.key == eqhash(app.connection_for_write()))


def empty_pools() -> None:
    """Empty all pools of this process, without a word to a broker. What was in them is kept, and never used again.

    It uses ``kombu.pools`` and the attributes ``_resource`` and ``_dirty`` of its pools. The public ``reset`` closes
    all connections. After a fork that would close those of the parent, because both processes have the same sockets.
    kombu itself does that after a fork of ``billiard``, and nothing after ``os.fork``.
    """
    for pool in [*connections.values(), *producers.values()]:
        _empty(pool)


def _empty(pool: Any) -> None:
    _kept.append((pool._resource, pool._dirty))
    # Another thread of the parent may hold the lock of the old queue for ever.
    pool._resource = LifoQueue()
    pool._dirty = set()
    pool.setup()
