"""Connections that use the transports of this package, wherever kombu would use its own for the same broker.

The settings of an app stay as they are: ``broker_transport`` and the scheme of a URL name the broker. A transport that
an app has of its own is left alone.
"""

from typing import Any

import kombu
from celery import Celery

from ..seams import kombu_pools
from ..seams.kombu_pools import PoolOf


class _Options:
    """Options of a transport, by which pools are told apart. `Config` hides some of them in their `repr`."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Options) and self._options == other._options

    def __hash__(self) -> int:
        return hash(frozenset(self._options))


class Connection(kombu.Connection):
    """A connection of an app that uses `Config`. It takes the parameters of `kombu.Connection`."""

    def get_transport_cls(self) -> Any:
        """Get the class of the transport. Only an app on such a broker has the client library that its class needs."""
        transport: Any = super().get_transport_cls()
        ours: dict[Any, Any] = {}
        if transport.driver_type == 'sqs':
            from ..seams import kombu_sqs
            from . import sqs

            ours = {kombu_sqs.Transport: sqs.Transport}
        elif transport.driver_type in ('amqp', 'amqps'):
            from kombu.transport import pyamqp

            from . import amqp

            ours = {pyamqp.Transport: amqp.Transport, pyamqp.SSLTransport: amqp.SSLTransport}
        elif transport.driver_type == 'redis':
            from ..seams import kombu_redis
            from . import redis

            ours = {
                kombu_redis.Transport: redis.Transport,
                kombu_redis.SentinelTransport: redis.SentinelTransport,
            }
        return ours.get(transport, transport)

    def Pool(self, limit: int | None = None, **kwargs: Any) -> Any:  # noqa: N802  # as kombu calls it
        """Make a pool of such connections."""
        return PoolOf(Pooled, self, limit, **kwargs)

    def __eqhash__(self) -> Any:
        # The pools of kombu are for all apps of a process. An app without a `Config` has connections of its own.
        return type(self), super().__eqhash__(), _Options(dict(self.transport_options))


class Pooled(Connection, kombu_pools.Pooled):
    """A connection in a pool."""


def use_connections(app: Celery) -> None:
    """Let an app make its connections by `Connection`.

    :param app: the app.
    """
    app.amqp.Connection = Connection
