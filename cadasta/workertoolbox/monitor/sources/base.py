"""The methods of every source of messages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from ...stopping import sleep
from ..message import Message

#: A source waits this long for a message at a time, in seconds.
PATIENCE = 1.0
#: A batch is full when its messages may need this much memory together, in bytes, even if they are few.
MAX_BATCH_BYTES = 8 * 2**20


class Limits(NamedTuple):
    """The limits of a batch, in size and in time.

    :param batch: the largest number of messages of a batch.
    :param linger: the time that the first message of a batch waits for others, in seconds.
    :param stopping: tells whether the monitor is about to stop.
    """

    batch: int
    linger: float
    stopping: Callable[[], bool]

    def sleep(self, seconds: float) -> None:
        """Sleep, but wake early if the monitor is about to stop."""
        sleep(seconds, self.stopping)


def within_memory(messages: Iterable[Message]) -> Iterator[Message]:
    """Give messages until a batch of them is full.

    :param messages: the messages; each is made when it is asked for.

    >>> [message.receipt for message in within_memory(Message(n, b'', memory=MAX_BATCH_BYTES // 2) for n in range(9))]
    [0, 1]
    """
    left = MAX_BATCH_BYTES
    for message in messages:
        yield message
        left -= message.memory
        if left <= 0:
            return


class Source(Protocol):
    """A source of batches: the platform queue of one kind of broker."""

    #: The errors that the source raises while the broker is away.
    errors: tuple[type[Exception], ...]

    def receive(self) -> Sequence[Message]:
        """Wait for messages.

        :returns: a batch. It is empty if no message came in time, or if the monitor is about to stop.
        """

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        """Fetch messages for the next batch while the monitor stores the current one.

        :param enough: tells when to stop.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Remove from the queue the messages that `receive` returned last. It may end before they are removed."""

    def hold(self, messages: Sequence[Message], seconds: float) -> None:
        """Keep the messages that `receive` returned last while the monitor cannot store them, without giving them back.

        It keeps those that were fetched ahead as well.

        :param messages: the messages.
        :param seconds: for how long. It ends early if the monitor is about to stop.
        """

    def release(self, messages: Sequence[Message]) -> None:
        """Give back messages that `receive` returned last, because the monitor could not store them.

        It gives back those that were fetched ahead as well.

        :param messages: the messages; there are none if the monitor ends.
        """

    def waiting(self) -> int:
        """Count the messages that are left in the queue."""

    def mark(self) -> None:
        """Note what is in the queue now, for `has_backlog`. Between two batches, all that was received is stored."""

    def has_backlog(self) -> bool:
        """Tell whether messages may be left that were in the queue at the last `mark`, or when it was opened."""
