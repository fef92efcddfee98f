"""Count what a monitor does, and know whether it is well."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from ..metrics.distribution import Distribution
from .message import Message
from .store import Stored

#: A monitor that has neither read nor stored anything for longer than this hangs, in seconds. It looks for messages
#: each 20 seconds at least.
TOO_LONG = 120.0
_BATCHES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Peer = Literal['broker', 'database']


class Tally:
    """Counts what a monitor has done since it started, and knows how it is.

    The threads of the monitor write it, and others may read it at any time.

    >>> tally = Tally()
    >>> tally.trouble
    'The monitor has not reached the broker and the database yet'
    >>> tally.begin()
    >>> tally.failed('broker', 'The broker is away: Connection refused')
    >>> tally.trouble, tally.errors['broker']
    ('The broker is away: Connection refused', 1)
    """

    def __init__(self) -> None:
        self.tasks = self.rejected = 0
        #: How long each batch took to be stored.
        self.seconds = Distribution(_BATCHES)
        self.errors: Counter[Peer] = Counter({'broker': 0, 'database': 0})
        #: How many messages were left in the platform queue when the monitor last asked; `None` if it has not asked.
        self.waiting: int | None = None
        self._why: str | None = 'The monitor has not reached the broker and the database yet'
        self._moved = self._caught_up = time.monotonic()

    @property
    def lag(self) -> float:
        """How long ago all was stored that was in the platform queue, or the monitor started, in seconds."""
        return time.monotonic() - self._caught_up

    @property
    def trouble(self) -> str | None:
        """Why the monitor does not store, without a credential; `None` if it does."""
        if self._why is not None:
            return self._why
        idle = time.monotonic() - self._moved
        if idle <= TOO_LONG:
            return None
        return (
            f'The monitor has neither read nor stored anything for {idle:.0f} s: look at its log, and for locks in the '
            'database'
        )

    def begin(self) -> None:
        """Note that database and broker answer."""
        self._why = None
        self.move()

    def move(self) -> None:
        """Note that the monitor has asked for messages, and has stored those that it got."""
        self._moved = time.monotonic()

    def catch_up(self, moment: float) -> None:
        """Note that all is stored that was in the platform queue at a moment of the monotonic clock."""
        # Somebody who connects again does not know of a moment yet.
        self._caught_up = max(self._caught_up, moment)

    def failed(self, peer: Peer, why: str) -> None:
        """Note that the broker or the database does not do what the monitor asks.

        :param why: the reason, without a credential.
        """
        self.errors[peer] += 1
        self._why = why

    def measured(self, write: Callable[[Sequence[Message]], Stored], messages: Sequence[Message]) -> Stored:
        """Store a batch, and count it."""
        began = time.monotonic()
        stored = write(messages)
        if messages:
            self.seconds.add(time.monotonic() - began)
            self.tasks += stored.tasks
            self.rejected += stored.rejected
        return stored

    def counted(self, waiting: int) -> int:
        """Note how many messages are left in the platform queue."""
        self.waiting = waiting
        return waiting
