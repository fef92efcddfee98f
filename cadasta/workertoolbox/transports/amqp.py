"""RabbitMQ: a bound on the time that a program waits for RabbitMQ to confirm a message.

A RabbitMQ that is short of memory or disk space takes no messages. It tells the connections that send some, and reads
no more from them until the alarm ends. py-amqp would wait as long as that takes.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from amqp import NotFound
from celery import current_task
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

from ..errors import ToolboxError
from ..timeouts import CONFIRMATION
from .amqp_batch import ConfirmedBatch

logger = logging.getLogger(__name__)

_TRANSIENT = 1
# The exchanges of Celery's remote control end so. Its messages are persistent, although its queues are not.
_CONTROL = '.pidbox'


class NotConfirmed(ToolboxError, OperationalError):  # noqa: N818  # the broker is at fault
    """RabbitMQ has not confirmed a message in time. Nobody knows whether the task will run.

    >>> try:
    ...     raise NotConfirmed('RabbitMQ has not confirmed a message within 30 s')
    ... except ToolboxError as error:
    ...     print(error)
    RabbitMQ has not confirmed a message within 30 s
    """


class _Blocked(Exception):  # noqa: N818  # it is caught where it is raised
    """RabbitMQ has taken a message that need not be confirmed, and says that it takes no more."""


class Channel(pyamqp.Channel):
    """A channel whose messages are confirmed within a time, or raise an error.

    The messages of Celery's events and remote control are dropped while RabbitMQ takes none. The main process of a
    worker sends them. It has to go on taking tasks, because that frees memory.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._awaits_nothing = False

    def basic_publish_confirm(
        self, message: Any, exchange: str = '', *args: Any, confirm_timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Send a message, and wait until RabbitMQ has confirmed it.

        :param message: the message.
        :param exchange: the name of the exchange.
        :param confirm_timeout: the seconds to wait, where the call has its own.
        :raises NotConfirmed: where RabbitMQ has not done so in time.
        """
        args = (message, exchange, *args)
        if self.connection is None:
            # RabbitMQ has closed it. This raises the error by which Celery connects again.
            return super().basic_publish_confirm(*args, **kwargs)
        if message.properties.get('delivery_mode') == _TRANSIENT or exchange.endswith(_CONTROL):
            if self.connection.looks_blocked():
                return None
            try:
                with self.connection.bounded(confirm_timeout, may_be_dropped=True):
                    return super().basic_publish_confirm(*args, **kwargs)
            except _Blocked:
                self._awaits_nothing = True
                return None
        if self._awaits_nothing:
            # The confirmation of such a message would be taken for that of this one.
            self.connection.collect()
            raise ConnectionResetError('RabbitMQ had blocked this connection')
        try:
            with self.connection.bounded(confirm_timeout):
                return super().basic_publish_confirm(*args, **kwargs)
        except NotFound as error:
            # Somebody has deleted the exchange. This connection has to declare it again.
            self.connection.collect()
            raise ConnectionResetError(str(error)) from error

    @property
    def supports_batch_publish(self) -> bool:
        """Whether a batch of kombu's producer can wait for the confirmations of its messages."""
        return self.connection is None or bool(self.connection.confirm_publish)

    def create_publish_batch(self, max_size: int) -> ConfirmedBatch:
        """Make what kombu's producer puts the messages of a batch into.

        :param max_size: the size of a batch, which has no limit.
        """
        return ConfirmedBatch(self)


class Connection(pyamqp.Connection):
    """A connection of py-amqp that knows whether RabbitMQ has blocked it.

    :param confirm_timeout: the seconds to wait for the confirmation of a message.
    :param on_blocked: see `amqp.Connection`.
    :param on_unblocked: see `amqp.Connection`.
    """

    Channel = Channel

    def __init__(
        self,
        *args: Any,
        confirm_timeout: float | None = None,
        on_blocked: Callable[[str], Any] | None = None,
        on_unblocked: Callable[[], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._confirm_timeout = CONFIRMATION if confirm_timeout is None else confirm_timeout
        self._is_blocked = False
        self._limit = 0.0
        self._deadline: float | None = None
        self._may_be_dropped = False

        def block(reason: str) -> None:
            self._is_blocked = True
            if on_blocked is not None:
                on_blocked(reason)

        def unblock() -> None:
            self._is_blocked = False
            if on_unblocked is not None:
                on_unblocked()

        super().__init__(*args, on_blocked=block, on_unblocked=unblock, **kwargs)

    def looks_blocked(self) -> bool:
        """Tell whether RabbitMQ has said that it takes no messages, and not taken that back."""
        if self._is_blocked:
            with suppress(TimeoutError):
                self.drain_events(timeout=0)
        return self._is_blocked

    @contextmanager
    def bounded(self, seconds: float | None, may_be_dropped: bool = False) -> Iterator[None]:
        """Let what is read within the block come in time, or raise an error.

        :param seconds: the time to wait, or `None` for that of the connection.
        :param may_be_dropped: whether the wait ends when RabbitMQ blocks the connection.
        """
        self._limit = seconds or self._confirm_timeout
        self._deadline = time.monotonic() + self._limit
        self._may_be_dropped = may_be_dropped
        try:
            yield
        finally:
            self._deadline = None

    def blocking_read(self, timeout: float | None = None) -> Any:
        """Read a frame. RabbitMQ sends heartbeats while it takes no messages, so each of them ends a wait."""
        if self._deadline is None or timeout is not None:
            return super().blocking_read(timeout)
        if self._is_blocked and self._may_be_dropped:
            raise _Blocked
        left = self._deadline - time.monotonic()
        if left <= 0:
            self._give_up()
            return False
        # A connection that is blocked is silent, and not broken.
        patience = None if self._is_blocked else self.read_timeout
        try:
            return super().blocking_read(min(left, patience or left))
        except TimeoutError:
            if patience is not None and patience < left:
                raise
            return False

    def _give_up(self) -> None:
        if self._is_blocked and _is_in_worker():
            logger.warning('RabbitMQ is short of memory or disk space, and takes no messages: a task waits to send one')
            self._deadline = time.monotonic() + self._limit
            return
        # The confirmation may still come, and would be taken for that of the next message.
        self.collect()
        waited = f'RabbitMQ has not confirmed a message within {self._limit:g} s'
        if self._is_blocked:
            raise NotConfirmed(
                f'{waited}: it is short of memory or disk space, and takes none. "rabbitmqctl status" tells which, and '
                'what its limits are. The task may still be sent when there is enough again.'
            )
        raise NotConfirmed(
            f'{waited}, although it answers. Look whether a quorum queue of it lacks its majority. The task may still '
            'be sent. To wait longer, raise confirm_timeout in broker_transport_options.'
        )


def _is_in_worker() -> bool:
    # A retry that cannot be sent would be lost.
    request = current_task.request if current_task else None
    return request is not None and not request.called_directly and not request.is_eager


class Transport(pyamqp.Transport):
    """The transport for RabbitMQ."""

    Connection = Connection

    implements = pyamqp.Transport.implements.extend(batch_publish=True)

    # A worker connects again. A producer does not try again: it has waited long enough.
    connection_errors = (*pyamqp.Transport.connection_errors, NotConfirmed)


class SSLTransport(pyamqp.SSLTransport):
    """The transport for RabbitMQ by TLS."""

    Connection = Connection

    implements = Transport.implements

    connection_errors = Transport.connection_errors
