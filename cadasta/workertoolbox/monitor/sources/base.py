"""What every source of messages can do."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from ..message import Message

#: How long a source waits for a message at a time, in seconds.
PATIENCE = 1.0
#: A batch is full when its bodies have this many bytes, however few they are.
MAX_BATCH_BYTES = 8 * 2**20


class Limits(NamedTuple):
    """How large a batch may become, and how long that may take.

    :param batch: messages of a batch, at most.
    :param linger: how long the first message of a batch waits for more, in seconds.
    :param stopping: says whether the monitor is about to end.
    """

    batch: int
    linger: float
    stopping: Callable[[], bool]

    def sleep(self, seconds: float) -> None:
        """Sleep, but not on when the monitor is about to end."""
        end = time.monotonic() + seconds
        while not self.stopping() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))


class Source(Protocol):
    """The platform queue, as a source of batches."""

    #: What the source raises while the broker is away.
    errors: tuple[type[Exception], ...]

    def receive(self) -> Sequence[Message]:
        """Wait for messages.

        :returns: a batch; none where none came in time, or where the monitor is about to end.
        """

    def fetch_ahead(self, enough: Callable[[], bool]) -> None:
        """Fetch messages for the next batch, while the last one is being stored.

        :param enough: says when to stop.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Take the messages that were last received off the queue."""

    def release(self, messages: Sequence[Message]) -> None:
        """Give back the messages that were last received, which could not be stored."""

    def waiting(self) -> int:
        """Count the messages that are left in the queue."""
