"""Amazon SQS: send many messages, ten a call."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .receipt import Busy, Receipt, Refused

#: A call takes this many messages at most, and this many bytes.
MAX_CALL, MAX_BYTES = 10, 1024 * 1024
#: A message that Amazon could not take is sent again after each of these pauses, in seconds.
PAUSES = (0.2, 0.4, 0.8)


@dataclass(eq=False)
class _Entry:
    """A message for a queue.

    :param client: the client for the queue.
    :param url: the URL of the queue.
    :param arguments: the other arguments of ``send_message``.
    """

    client: Any
    url: str
    arguments: dict[str, Any]
    is_sent: bool = False

    @property
    def size(self) -> int:
        """The bytes that Amazon counts: those of the body, and of the names, types and values of attributes."""
        attributes = self.arguments.get('MessageAttributes') or {}
        texts = [self.arguments['MessageBody'], *attributes]
        texts += [part for value in attributes.values() for part in value.values()]
        return sum(len(text.encode()) if isinstance(text, str) else len(text) for text in texts)


@dataclass(eq=False)
class _Parcel(Receipt):
    """A message with its entries for all queues that it reaches, the platform queue first."""

    entries: list[_Entry] = field(default_factory=list)

    @property
    def is_sent(self) -> bool:  # type: ignore[override]  # a batch only reads it
        return all(entry.is_sent for entry in self.entries)

    def is_ready_for(self, place: int) -> bool:
        """Tell whether there is an entry at a place, and all entries before it are sent."""
        return len(self.entries) > place and all(entry.is_sent for entry in self.entries[:place])


class Batch:
    """The messages of a batch of kombu's `Producer.batch`.

    The platform queue gets the copies first. A work queue gets the messages whose copies it has taken.

    :param channel: the channel of the producer.
    """

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self._parcels: list[_Parcel] = []

    def publish(self, message: Any, **options: Any) -> Receipt:
        """Add a message.

        :param message: the message.
        :returns: its receipt.
        """
        parcel = _Parcel()

        def record(client: Any, arguments: dict[str, Any]) -> None:
            parcel.entries.append(_Entry(client, arguments.pop('QueueUrl'), arguments))

        self.channel.basic_publish(message, recorder=record, **options)
        self._parcels.append(parcel)
        return parcel

    def flush(self) -> None:
        """Send all messages.

        :raises Refused: where Amazon has refused some.
        """
        refusals: list[str] = []
        for place in range(max((len(parcel.entries) for parcel in self._parcels), default=0)):
            refusals += _send([parcel.entries[place] for parcel in self._parcels if parcel.is_ready_for(place)])
        if refusals:
            raise Refused(f'Amazon SQS refused {len(refusals)} messages: {refusals[0]}')

    def discard(self) -> None:
        """Forget the messages."""
        self._parcels = []

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _send(entries: Sequence[_Entry]) -> list[str]:
    """Send entries, for each queue in their order.

    :returns: for each entry that Amazon has refused, the reason.
    """
    by_queue: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_queue.setdefault(entry.url, []).append(entry)
    return [reason for url, own in by_queue.items() for some in _calls(own) for reason in _call(url, some)]


def _calls(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    some: list[_Entry] = []
    total = 0
    for entry in entries:
        size = entry.size
        if len(some) == MAX_CALL or (some and total + size > MAX_BYTES):
            yield some
            some, total = [], 0
        some.append(entry)
        total += size
    yield some


def _call(url: str, entries: list[_Entry]) -> list[str]:
    """Send the entries of one call. Those that Amazon could not take are sent before the next call, to keep the order.

    :returns: for each entry that Amazon has refused, the reason.
    :raises Busy: where Amazon could not take some at the last try.
    """
    reasons: list[str] = []
    pauses = [*PAUSES]
    while entries:
        answer = entries[0].client.send_message_batch(
            QueueUrl=url,
            Entries=[{**entry.arguments, 'Id': str(place)} for place, entry in enumerate(entries)],
        )
        for success in answer.get('Successful', ()):
            entries[int(success['Id'])].is_sent = True
        failures = {int(failure['Id']): failure for failure in answer.get('Failed', ())}
        refused = {place for place, failure in failures.items() if failure['SenderFault']}
        reasons += [_reason(failures[place]) for place in refused]
        entries = [entry for place, entry in enumerate(entries) if not entry.is_sent and place not in refused]
        if entries and not pauses:
            why = ', '.join({_reason(failure) for failure in failures.values()}) or 'it does not say why'
            raise Busy(f'Amazon SQS could not take {len(entries)} messages of {url}: {why}')
        if entries:
            time.sleep(pauses.pop(0))
    return reasons


def _reason(failure: Any) -> str:
    return str(failure.get('Message') or failure['Code'])
