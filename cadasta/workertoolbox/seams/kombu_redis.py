"""kombu: how its transport for Redis notes what consumers hold, and gives it back."""

from typing import Any

from kombu.transport import redis, virtual
from redis.exceptions import OutOfMemoryError, ResponseError

#: The transports of kombu for Redis, and for Redis behind Sentinel.
Transport: type[Any] = redis.Transport
SentinelTransport: type[Any] = redis.SentinelTransport
#: Redis has answered a command, and refuses it: it is full, or a script keeps it busy, or it may not write.
Refusal: type[Exception] = ResponseError
#: It refuses it because it is full.
Full: type[Exception] = OutOfMemoryError


class OpenQoS(redis.QoS):
    """The messages that a channel holds, of which one need not be noted in Redis.

    It overrides ``_remove_from_indices``. kombu removes a note within a transaction, and a full Redis refuses each
    command of a transaction, also those that free memory.

    It uses ``channel._do_restore_message`` and ``message._raw`` to give back a message without a note. kombu gives back
    what it finds in the note.
    """

    def hold(self, message: Any, tag: str) -> None:
        """Hold a message, and note nothing in Redis.

        :param message: the message.
        :param tag: its delivery tag.
        """
        virtual.QoS.append(self, message, tag)

    def put_back(self, message: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put a message without a note back into its queue.

        :param message: the message.
        :param client: a client of Redis, if the caller has one.
        :param leftmost: whether it is to be the last one.
        """
        delivery = message.delivery_info
        with self.channel.conn_or_acquire(client) as client, client.pipeline() as pipe:
            self.channel._do_restore_message(
                message._raw, delivery['exchange'], delivery['routing_key'], pipe, leftmost
            )
            pipe.execute()

    def _remove_from_indices(self, delivery_tag: str, pipe: Any = None) -> Any:
        if pipe is not None:
            return super()._remove_from_indices(delivery_tag, pipe)
        with self.channel.conn_or_acquire() as client:
            return super()._remove_from_indices(delivery_tag, client.pipeline(transaction=False))


class OpenChannel(redis.Channel):
    """A channel that counts messages in a full Redis, too, and that may be closed twice.

    It overrides ``_size``. kombu counts messages within a transaction; see `OpenQoS`.

    It overrides ``_connparams``. A worker closes a connection that broke, and closes it again if another channel raised
    an error meanwhile. kombu then tries to give messages back over a connection that has forgotten its address, and the
    worker ended by the `AttributeError`.
    """

    def _connparams(self, asynchronous: bool = False) -> Any:
        if self.connection.client is None:
            raise ConnectionResetError('The connection to Redis is closed')
        return super()._connparams(asynchronous)

    def _size(self, queue: str) -> int:
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for step in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, step))
            return sum(pipe.execute())


class OpenSentinelChannel(OpenChannel, redis.SentinelChannel):
    """A channel to the primary that Sentinel names."""
