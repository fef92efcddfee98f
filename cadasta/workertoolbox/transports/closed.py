"""Let a message be sent again whose connection breaks while its queues are declared."""

from typing import Any

from kombu.transport import virtual


class RetriedChannel(virtual.Channel):
    """A channel that refuses messages by an error of its connection once it is closed.

    kombu chooses the channel of a message, and then declares queues. If the connection breaks meanwhile, kombu declares
    them on a new channel, and publishes on the old one. That raised an `AttributeError`, and kombu tried no more.
    """

    def basic_publish(self, message: Any, exchange: str, routing_key: str, **kwargs: Any) -> Any:
        """Publish a message.

        :raises ConnectionResetError: where the channel is closed.
        """
        if self.connection is None:
            raise ConnectionResetError('The connection broke while the queues of a message were declared.')
        return super().basic_publish(message, exchange, routing_key, **kwargs)
