"""The methods of every source of messages."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from ..message import Message

#: A source waits this long for a message at a time, in seconds.
PATIENCE = 1.0
#: A batch is full when its bodies have this many bytes together, even if it has few messages.
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
        end = time.monotonic() + seconds
        while not self.stopping() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


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
        """Remove from the queue the messages that `receive` returned last."""

    def release(self, messages: Sequence[Message]) -> None:
        """Give back the messages that `receive` returned last, because the monitor could not store them."""

    def waiting(self) -> int:
        """Count the messages that are left in the queue."""

    def mark(self) -> None:
        """Note what is in the queue now, for `has_backlog`. Between two batches, all that was received is stored."""

    def has_backlog(self) -> bool:
        """Tell whether messages may be left that were in the queue at the last `mark`, or when it was opened."""
