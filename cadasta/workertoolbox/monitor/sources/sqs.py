"""Amazon SQS: receive and delete messages in batches, with the client that kombu has configured."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no types
from kombu import Connection

from ...seams.sqs import client_of, url_of
from ..message import Message, from_envelope
from .base import MAX_BATCH_BYTES, PATIENCE, Limits

logger = logging.getLogger(__name__)

#: SQS returns or deletes this many messages in a call, at most.
MAX_CALL = 10
#: After a monitor was killed, its messages stay hidden for at most this time, in seconds.
MAX_HIDDEN = 60
# How often the monitor hides, within that time, messages that it cannot store.
_RENEWALS = 3


class SQSSource:
    """Receives and deletes up to ten messages in a call. kombu would delete them one by one."""

    def __init__(self, connection: Connection, channel: Any, queue: str, limits: Limits) -> None:
        self.errors = (*connection.connection_errors, *connection.channel_errors, BotoCoreError, ClientError, OSError)
        self._limits = limits
        self._client = client_of(channel, queue)
        self._url = url_of(channel, queue)
        self._patience = channel.wait_time_seconds
        self._interval = connection.transport.polling_interval or PATIENCE
        self._hidden = min(channel.visibility_timeout, MAX_HIDDEN)
        self._renewal = 0.0
        self.mark()

    def receive(self) -> Sequence[Message]:
        # SQS neither keeps an order nor counts exactly. So this asks when each message was sent, by the clock of SQS.
        self._has_backlog = False
        self._plan_renewal()
        batch = self._call(self._patience)
        if not batch and not self._patience:
            self._limits.sleep(self._interval)
        deadline = time.monotonic() + self._limits.linger
        while batch and self._has_room(batch) and time.monotonic() < deadline and not self._limits.stopping():
            more = self._call(0)
            if not more:
                break
            batch += more
        return batch

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        """Fetch nothing: a long poll would delay the deletion of the current batch."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        for entries in _entries(messages):
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            for failure in answer.get('Failed', ()):
                # SQS delivers the message again. The monitor stores it again, which changes nothing.
                logger.warning('SQS did not delete a message: %s', failure.get('Message') or failure['Code'])

    def hold(self, messages: Sequence[Message], seconds: float) -> None:
        """Wait, and keep the messages hidden: a queue with a redrive policy counts how often it shows them."""
        end = time.monotonic() + seconds
        while True:
            if time.monotonic() >= self._renewal:
                self._plan_renewal()
                self._change_visibility(messages, self._hidden)
            left = end - time.monotonic()
            if left <= 0 or self._limits.stopping():
                return
            self._limits.sleep(min(left, self._hidden / _RENEWALS))

    def release(self, messages: Sequence[Message]) -> None:
        self._change_visibility(messages, 0)

    def waiting(self) -> int:
        attributes = self._client.get_queue_attributes(
            QueueUrl=self._url, AttributeNames=['ApproximateNumberOfMessages']
        )['Attributes']
        return int(attributes['ApproximateNumberOfMessages'])

    def mark(self) -> None:
        self._marked = self._now()
        # The next call tells.
        self._has_backlog = True

    def has_backlog(self) -> bool:
        return self._has_backlog

    def _plan_renewal(self) -> None:
        self._renewal = time.monotonic() + self._hidden / _RENEWALS

    def _change_visibility(self, messages: Sequence[Message], seconds: int) -> None:
        for entries in _entries(messages, VisibilityTimeout=seconds):
            self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)

    def _has_room(self, batch: list[Message]) -> bool:
        return len(batch) < self._limits.batch and sum(message.memory for message in batch) < MAX_BATCH_BYTES

    def _call(self, patience: int) -> list[Message]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=MAX_CALL,
            WaitTimeSeconds=patience,
            VisibilityTimeout=self._hidden,
            AttributeNames=['SentTimestamp'],
        )
        messages = answer.get('Messages', ())
        if any(int(message['Attributes']['SentTimestamp']) <= self._marked for message in messages):
            self._has_backlog = True
        return [from_envelope(message['ReceiptHandle'], message['Body']) for message in messages]

    def _now(self) -> float:
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=['QueueArn'])
        # The answer has no fractions of a second.
        return 1000 * (1 + parsedate_to_datetime(answer['ResponseMetadata']['HTTPHeaders']['date']).timestamp())


def _entries(messages: Sequence[Message], **options: Any) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(messages), MAX_CALL):
        yield [
            {'Id': str(number), 'ReceiptHandle': message.receipt, **options}
            for number, message in enumerate(messages[start : start + MAX_CALL])
        ]
