"""Redis: a worker keeps a message that Redis has given to it, whatever Redis answers afterwards.

kombu takes a message off its queue, and then notes that a consumer holds it. A Redis that is full lets it do the first
and refuses the second. Nobody had the message then.
"""

import logging
from typing import Any

from ..seams import kombu_redis, kombu_redis_batch
from .closed import RetriedChannel

logger = logging.getLogger(__name__)


class QoS(kombu_redis.OpenQoS):
    """The messages that a channel holds. Those that Redis refuses to note are noted when it does so again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._unnoted: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def append(self, message: Any, delivery_tag: str) -> None:
        """Hold a message, and note in Redis all that are held and not noted yet."""
        self.hold(message, delivery_tag)
        known = len(self._unnoted)
        self._unnoted[delivery_tag] = message
        try:
            for tag, unnoted in list(self._unnoted.items()):
                super().append(unnoted, tag)
                self._unnoted.pop(tag, None)
        except kombu_redis.Refusal as error:
            if not known:
                logger.warning(
                    'Redis does not note which messages this worker holds. It runs their tasks. If it is killed before '
                    'they are done, they are lost, and `toolbox lost` names them: %s',
                    error,
                )

    def ack(self, delivery_tag: str) -> None:
        """Forget a message."""
        self._unnoted.pop(delivery_tag, None)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Forget a message, or give it back."""
        super().reject(delivery_tag, requeue)
        self._unnoted.pop(delivery_tag, None)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Give a message back."""
        message = self._unnoted.pop(tag, None)
        if message is None:
            super().restore_by_tag(tag, client, leftmost)
            return
        try:
            self.put_back(message, client, leftmost)
        except kombu_redis.Refusal as error:
            logger.error('Redis does not take back task %s. `toolbox lost` names it: %s', message.headers['id'], error)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Give back what consumers have held for too long. A full Redis is asked again later."""
        try:
            super().restore_visible(*args, **kwargs)
        except kombu_redis.Full as error:
            # A worker that has just connected could not begin to consume either.
            if not self.channel.active_queues:
                raise
            logger.warning('Redis does not give back the messages of workers that were killed: %s', error)


class Channel(RetriedChannel, kombu_redis.OpenChannel, kombu_redis_batch.RememberingChannel):
    """A channel to Redis."""

    QoS = QoS


class SentinelChannel(RetriedChannel, kombu_redis.OpenSentinelChannel, kombu_redis_batch.RememberingChannel):
    """A channel to the primary that Sentinel names."""

    QoS = QoS


class Transport(kombu_redis.Transport):
    """The transport for Redis."""

    Channel = Channel


class SentinelTransport(kombu_redis.SentinelTransport):
    """The transport for Redis behind Sentinel."""

    Channel = SentinelChannel
