"""Redis: a batch of messages is few calls."""

from ..seams import kombu_redis


class Transport(kombu_redis.Transport):
    """The transport for Redis."""

    Channel = kombu_redis.RememberingChannel
