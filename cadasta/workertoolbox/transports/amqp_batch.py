"""RabbitMQ: send many messages, and wait once until all are confirmed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp import NotFound
from kombu.transport import pyamqp

from .receipt import Busy, Receipt


class ConfirmedBatch:
    """The messages of a batch of kombu's `Producer.batch`.

    RabbitMQ numbers the messages of a channel, and confirms them by their numbers. So the batch has a channel of its
    own, which has sent nothing else.

    :param channel: the channel of the producer.
    """

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self._connection = channel.connection
        self._own: Any = self._connection.channel()
        self._own.confirm_select()
        self._own.events['basic_ack'].add(self._confirm)
        self._own.events['basic_nack'].add(self._refuse)
        self._count = 0
        self._limit: float | None = None
        self._waiting: dict[int, Receipt] = {}
        self._refused = 0

    def publish(self, message: Any, confirm_timeout: float | None = None, **options: Any) -> Receipt:
        """Send a message, and do not wait.

        :param message: the message.
        :param confirm_timeout: the seconds to wait at the end, where the call has its own.
        :returns: its receipt.
        """
        self._count += 1
        receipt = self._waiting[self._count] = Receipt()
        self._limit = confirm_timeout or self._limit
        with self._declaring_anew():
            pyamqp.Channel.basic_publish(self._own, message, **options)
        return receipt

    def flush(self) -> None:
        """Wait until all messages are confirmed.

        :raises NotConfirmed: where RabbitMQ has not done so in time.
        :raises Busy: where RabbitMQ has refused some.
        """
        with self._declaring_anew(), self._connection.bounded(self._limit):
            while self._waiting:
                self._connection.drain_events()
        self._own.close()
        if self._refused:
            raise Busy(f'RabbitMQ has refused {self._refused} messages: look whether a queue is full')

    def discard(self) -> None:
        """Forget the messages. RabbitMQ may have them."""

    def close(self) -> None:
        """Do nothing: an error leaves the channel to the end of its connection, which may be broken."""

    def _confirm(self, number: int, multiple: bool) -> None:
        for receipt in self._taken(number, multiple):
            receipt.is_sent = True

    def _refuse(self, number: int, multiple: bool) -> None:
        self._refused += sum(1 for _ in self._taken(number, multiple))

    def _taken(self, number: int, multiple: bool) -> Iterator[Receipt]:
        while multiple and self._waiting and (first := next(iter(self._waiting))) < number:
            yield self._waiting.pop(first)
        yield self._waiting.pop(number)

    @contextmanager
    def _declaring_anew(self) -> Iterator[None]:
        try:
            yield
        except NotFound as error:
            # Somebody has deleted the exchange. This connection has to declare it again.
            self._connection.collect()
            raise ConnectionResetError(str(error)) from error
