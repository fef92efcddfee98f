"""A batch that several calls receive at once."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from threading import Lock
from typing import NamedTuple

from ..message import Message


class Answer(NamedTuple):
    """The answer to a call.

    :param messages: the messages that the call has received.
    :param has_backlog: whether some of them were in the queue at the last mark.
    """

    messages: list[Message]
    has_backlog: bool


class Fetch:
    """Receives a batch of messages by calls that threads make side by side.

    :param call: receives up to so many messages.
    :param most: the most messages of a call.
    :param batch: the most messages of the batch.
    :param memory: the bytes of memory that the messages of the batch may need together. It counts each call that is
        under way like the one that brought most.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> queue = [Message(number, b'') for number in range(25)]
    >>> def call(amount):
    ...     taken, queue[:amount] = queue[:amount], []
    ...     return Answer(taken, False)
    >>> fetch = Fetch(call, 10, 500, 2**20)
    >>> with ThreadPoolExecutor() as pool:
    ...     fetch.go_on(pool, 4, lambda: False)
    >>> len(fetch.messages), fetch.is_dry
    (25, True)
    """

    def __init__(self, call: Callable[[int], Answer], most: int, batch: int, memory: int) -> None:
        self.messages: list[Message] = []
        #: The memory that they may need, in bytes.
        self.memory = 0
        #: Whether some of the messages were in the queue at the last mark.
        self.has_backlog = False
        #: Whether a call has received nothing, or has failed.
        self.is_dry = False
        #: The error of a call that has failed.
        self.failure: BaseException | None = None
        #: When the first message came, by the monotonic clock.
        self.began = time.monotonic()
        self._call = call
        self._most = most
        self._batch = batch
        self._most_memory = memory
        self._lock = Lock()
        # Messages for which calls under way have asked, and the number of these calls.
        self._asked = self._under_way = 0
        self._heaviest = 0

    def go_on(self, pool: Executor, width: int, enough: Callable[[], bool]) -> None:
        """Receive until the batch is full or a call receives nothing, and wait for the calls that are under way.

        :param pool: has a thread for each call.
        :param width: the most calls at once.
        :param enough: tells when to make no more calls.
        """
        threads = [pool.submit(self._call_again, enough) for _ in range(width)]
        failures = [error for thread in threads if (error := thread.exception())]
        self.failure = failures[0] if failures else self.failure

    def add(self, answer: Answer) -> None:
        """Add what a call has received."""
        memory = sum(message.memory for message in answer.messages)
        self._heaviest = max(self._heaviest, memory)
        self.memory += memory
        self.began = self.began if self.messages else time.monotonic()
        self.messages += answer.messages
        self.has_backlog |= answer.has_backlog
        self.is_dry |= not answer.messages

    def _call_again(self, enough: Callable[[], bool]) -> None:
        while not enough() and (amount := self._begin()):
            answer = Answer([], False)
            try:
                answer = self._call(amount)
            finally:
                # A call that fails is the last one, too: the queue may be too busy to be asked at all.
                with self._lock:
                    self._asked -= amount
                    self._under_way -= 1
                    self.add(answer)

    def _begin(self) -> int:
        with self._lock:
            amount = min(self._most, self._batch - len(self.messages) - self._asked)
            if self.is_dry or amount <= 0 or self.memory + self._under_way * self._heaviest >= self._most_memory:
                return 0
            self._asked += amount
            self._under_way += 1
            return amount
