"""Amazon SQS: receive and delete messages in batches, with the client that kombu has configured."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from threading import Lock, local
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no types
from kombu import Connection

from ...seams.sqs import client_of, number_of, url_of
from ..message import Message, from_envelope, packed
from .base import MAX_BATCH_BYTES, PATIENCE, Limits
from .fetch import Answer, Fetch

logger = logging.getLogger(__name__)

#: SQS returns or deletes this many messages in a call, at most.
MAX_CALL = 10
#: So many calls receive at once, at most: each may bring ten messages of a MiB.
RECEIVING = 4
#: So many calls delete messages, or hide them, at once. boto3 keeps ten connections open for both kinds.
CHANGING = 6
#: After a monitor was killed, its messages stay hidden for at most this time, in seconds.
MAX_HIDDEN = 60
# A message must have these parts, so that the monitor can read and delete it.
_PARTS = {'Attributes', 'Body', 'ReceiptHandle'}
# How often the monitor hides, within that time, messages that it cannot store.
_RENEWALS = 3


class SQSSource:
    """Receives and deletes up to ten messages in a call, with several calls in flight.

    A FIFO queue gives no message of a group while others of that group are in flight. So a batch has of a group what
    one call has received, in its order. The rest comes when the monitor has stored and deleted that.

    The monitor deletes a batch while it stores the next one. It waits for that before it stores the one after it, and
    before it asks for messages while it has none.
    """

    def __init__(self, connection: Connection, channel: Any, queue: str, limits: Limits) -> None:
        self.errors = (*connection.connection_errors, *connection.channel_errors, BotoCoreError, ClientError, OSError)
        self._limits = limits
        self._client = client_of(channel, queue)
        self._turn = _Turn(Lock())
        self._client.meta.events.register('before-parse.sqs.ReceiveMessage', self._turn.begin)
        self._url = url_of(channel, queue)
        self._patience = channel.wait_time_seconds
        self._interval = connection.transport.polling_interval or PATIENCE
        self._hidden = min(channel.visibility_timeout, MAX_HIDDEN)
        self._renewal = 0.0
        # New threads for each batch took a fifth of the processor.
        self._receiving = ThreadPoolExecutor(RECEIVING, 'receive')
        self._changing = ThreadPoolExecutor(CHANGING, 'change')
        self._deletes: list[Future[Any]] = []
        # A call that finds nothing costs as much as another. So there are more calls at once while all find messages.
        self._width = 1
        self._current, self._ahead = self._new_fetch(), self._new_fetch()
        # Whether older messages may be behind a batch whose messages are being deleted.
        self._behind = False
        self.mark()

    def receive(self) -> Sequence[Message]:
        before, self._current = self._current, self._ahead
        is_ahead = bool(self._current.messages)
        if not is_ahead:
            self._current = self._first(before.failure or self._current.failure)
        # The first messages stay hidden until the monitor has stored the batch.
        self._renewal = self._current.began + self._hidden / _RENEWALS
        deadline = min(self._current.began + self._limits.linger, self._renewal)
        self._go_on(self._current, lambda: time.monotonic() >= deadline)
        # SQS neither keeps an order nor counts exactly. So this asks when each message was sent, by the clock of SQS.
        # Older messages may have been behind those of two batches that were not deleted yet when this one was received.
        behind, self._behind = self._behind, is_ahead and before.has_backlog
        self._has_backlog = self._current.has_backlog or (is_ahead and (before.has_backlog or behind))
        self._ahead = self._new_fetch(self._current.memory)
        return _Unread(self._current.messages)

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        if not self._current.is_dry:
            self._go_on(self._ahead, enough)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Begin to delete messages, and wait until those of the time before are deleted."""
        before, self._deletes = (
            self._deletes,
            self._at_once(self._client.delete_message_batch, self._received(messages)),
        )
        for delete in before:
            for failure in delete.result().get('Failed', ()):
                # SQS delivers the message again. The monitor stores it again, which changes nothing.
                logger.warning('SQS did not delete a message: %s', failure.get('Message') or failure['Code'])

    def hold(self, messages: Sequence[Message], seconds: float) -> None:
        """Wait, and keep the messages hidden: a queue with a redrive policy counts how often it shows them."""
        end = time.monotonic() + seconds
        while True:
            if time.monotonic() >= self._renewal:
                self._renewal = time.monotonic() + self._hidden / _RENEWALS
                self._change_visibility(messages, self._hidden)
            left = end - time.monotonic()
            if left <= 0 or self._limits.stopping():
                return
            self._limits.sleep(min(left, self._hidden / _RENEWALS))

    def release(self, messages: Sequence[Message]) -> None:
        self._change_visibility(messages, 0)
        self.acknowledge(())

    def waiting(self) -> int:
        return number_of(self._client, self._url, 'ApproximateNumberOfMessages')

    def mark(self) -> None:
        self._marked = self._now()
        # The next call tells, and before it what was received ahead.
        self._has_backlog = True
        self._current.has_backlog = self._ahead.has_backlog = True

    def has_backlog(self) -> bool:
        return self._has_backlog or self._ahead.has_backlog

    def _new_fetch(self, memory: int = 0) -> Fetch:
        return Fetch(partial(self._call, 0), MAX_CALL, self._limits.batch, MAX_BATCH_BYTES - memory)

    def _first(self, failure: BaseException | None) -> Fetch:
        """Wait for messages while none is in flight."""
        # The next message of a group comes when the last one is deleted.
        self.acknowledge(())
        if failure is not None:
            raise failure
        fetch = self._new_fetch()
        fetch.add(self._call(self._patience, min(MAX_CALL, self._limits.batch)))
        if not fetch.messages and not self._patience:
            self._limits.sleep(self._interval)
        return fetch

    def _go_on(self, fetch: Fetch, enough: Callable[[], bool]) -> None:
        if fetch.is_dry:
            return
        before = len(fetch.messages)
        fetch.go_on(self._receiving, self._width, lambda: self._limits.stopping() or enough())
        if fetch.is_dry:
            self._width = max(1, self._width // 2)
        elif len(fetch.messages) > before:
            self._width = min(2 * self._width, RECEIVING)

    def _received(self, messages: Sequence[Message]) -> Sequence[Message]:
        # To go through the messages themselves is to read each of them again.
        return self._current.messages if messages else ()

    def _change_visibility(self, messages: Sequence[Message], seconds: int) -> None:
        """Hide messages, and those that were received ahead, for some seconds more."""
        both = [*self._received(messages), *self._ahead.messages]
        for change in self._at_once(self._client.change_message_visibility_batch, both, VisibilityTimeout=seconds):
            change.result()

    def _at_once(self, call: Callable[..., Any], messages: Sequence[Message], **options: Any) -> list[Future[Any]]:
        return [
            self._changing.submit(call, QueueUrl=self._url, Entries=entries)
            for entries in _entries(messages, **options)
        ]

    def _call(self, patience: int, amount: int) -> Answer:
        try:
            return self._answered(patience, amount)
        finally:
            self._turn.end()

    def _answered(self, patience: int, amount: int) -> Answer:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=amount,
            WaitTimeSeconds=patience,
            VisibilityTimeout=self._hidden,
            AttributeNames=['SentTimestamp'],
        )
        messages = [message for message in answer.get('Messages', ()) if message.keys() >= _PARTS]
        return Answer(
            [packed(message['ReceiptHandle'], message.pop('Body')) for message in messages],
            any(int(message['Attributes']['SentTimestamp']) <= self._marked for message in messages),
        )

    def _now(self) -> float:
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=['QueueArn'])
        # The answer has no fractions of a second.
        return 1000 * (1 + parsedate_to_datetime(answer['ResponseMetadata']['HTTPHeaders']['date']).timestamp())


class _Unread(Sequence[Message]):
    """Messages that are read one by one, when they are asked for: the headers of one may need four times its size.

    :param envelopes: their envelopes.
    """

    def __init__(self, envelopes: Sequence[Message]) -> None:
        self._envelopes = envelopes

    def __len__(self) -> int:
        return len(self._envelopes)

    def __getitem__(self, index: Any) -> Any:
        envelope = self._envelopes[index]
        return from_envelope(envelope.receipt, envelope.body)


class _Turn(local):
    """Lets one thread at a time read an answer. Ten messages of a MiB may need eight times that while they are parsed.

    :param lock: the lock that all threads share; each has a copy of the rest.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._is_mine = False

    def begin(self, response_dict: dict[str, Any], **kwargs: Any) -> None:
        """Wait until no other thread reads an answer: botocore calls this before it parses one."""
        # botocore may repeat a call. After an error it also waits.
        if response_dict['status_code'] == HTTPStatus.OK and not self._is_mine:
            self._lock.acquire()
            self._is_mine = True

    def end(self) -> None:
        """Let other threads read."""
        if self._is_mine:
            self._is_mine = False
            self._lock.release()


def _entries(messages: Sequence[Message], **options: Any) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(messages), MAX_CALL):
        yield [
            {'Id': str(number), 'ReceiptHandle': message.receipt, **options}
            for number, message in enumerate(messages[start : start + MAX_CALL])
        ]
