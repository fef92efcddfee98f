"""Send messages that were collected, in the way in which the broker takes many."""

import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from kombu.exceptions import BatchPublishError, OperationalError

from ..errors import ToolboxError
from ..settings.credentials import masked
from ..transports.amqp import NotConfirmed
from ..transports.receipt import Receipt
from .collecting import Message

#: So many messages go to the broker before the next ones are prepared.
PORTION = 1000
_SHOWN = 20


class NotAllSent(ToolboxError, OperationalError):  # noqa: N818  # the broker is at fault
    """Some tasks of a batch were not sent, or nobody knows whether they were. All others were sent.

    :param text: the reason.
    :param task_ids: the ids of the tasks, in the order in which they were published.

    >>> try:
    ...     raise NotAllSent('1 of the 3 tasks of a batch may not have been sent', ['e1'])
    ... except ToolboxError as error:
    ...     print(error, error.task_ids)
    1 of the 3 tasks of a batch may not have been sent ('e1',)
    """

    def __init__(self, text: str, task_ids: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.task_ids = tuple(task_ids)


class _NotAllConfirmed(NotAllSent, NotConfirmed):
    """RabbitMQ has not confirmed some tasks of a batch in time."""


def send(app: Celery, messages: Sequence[Message]) -> None:
    """Send messages.

    :param app: the app whose broker gets them.
    :param messages: the messages. They are sent in this order.
    :raises NotAllSent: where some could not be sent.
    """
    left = list(messages)
    try:
        deliver(app, left)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        raise _error(left, len(messages), error) from error


def deliver(app: Celery, messages: list[Message]) -> None:
    """Send messages, and take those off the list that were sent.

    :param app: the app whose broker gets them.
    :param messages: the messages. They are sent in this order.
    :raises Exception: where some could not be sent. These are still in the list.
    """
    if not messages:
        return
    policy = app.conf.task_publish_retry_policy if app.conf.task_publish_retry else None
    with app.producer_or_acquire() as producer:
        # As `publish(retry=True)` does. Otherwise kombu would not stop connecting when the policy says so.
        producer.connection.transport_options.update(policy or {})
        size = PORTION if producer.supports_batch_publish else 1
        while messages:
            portion = messages[:size]
            try:
                producer.connection.ensure(producer, _send, **(policy or {'max_retries': 0}))(producer, portion)
            finally:
                messages[:size] = portion


def _send(producer: Any, portion: list[Message]) -> None:
    """Send messages, and take those off the list that were sent."""
    receipts: list[Any] = []
    try:
        with producer.batch(max_size=sys.maxsize):
            for message in portion:
                receipts.append(producer.publish(message.body, **message.options))
    except Exception as error:
        portion[:] = [
            message
            for message, receipt in zip_longest(portion, receipts)
            if not (isinstance(receipt, Receipt) and receipt.is_sent)
        ]
        if isinstance(error, BatchPublishError):
            # kombu connects again after the error of Redis, and not after its own.
            raise (error.__cause__ or error) from None
        raise
    portion.clear()


def _error(left: Sequence[Message], total: int, error: Exception) -> NotAllSent:
    kind = _NotAllConfirmed if isinstance(error, NotConfirmed) else NotAllSent
    ids = list(dict.fromkeys(message.task_id for message in left if message.task_id is not None))
    more = f' and {len(ids) - _SHOWN} more' if len(ids) > _SHOWN else ''
    reason = masked(str(error)).rstrip('.') or type(error).__name__
    return kind(
        f'{len(left)} of the {total} messages of a batch may not have been sent: {reason}. Mend that, and call these '
        f'tasks once more, whose ids the attribute task_ids has: {", ".join(ids[:_SHOWN])}{more}',
        ids,
    )
