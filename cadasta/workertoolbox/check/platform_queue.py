"""Check that messages do not pile up in the platform queue. Only the database tells whether a monitor stores them."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from ..durations import written
from .finding import Outcome, Problem

#: The queue must become shorter within this time, in seconds.
WATCHED = 5.0
_INTERVAL = 0.25
_START = 'Start the task monitor: celery -A PROJECT toolbox monitor'
_SPEED_UP = (
    'More is sent than is stored: look for warnings in the log of the monitor, start another one, or give it a larger '
    '--batch.'
)


class Depth(NamedTuple):
    """The length of a queue.

    :param waiting: the number of messages that wait.
    :param consumers: the number of its consumers, or `None` if the broker does not tell.
    :param received: the number of messages that consumers have received and not deleted yet. It is 0 if the broker does
        not tell.
    :param delayed: the number of messages that the broker does not deliver yet. It is 0 if the broker delays none.
    """

    waiting: int
    consumers: int | None = None
    received: int = 0
    delayed: int = 0

    def __str__(self) -> str:
        consumers = '' if self.consumers is None else f', consumers: {self.consumers}'
        return f'waiting messages: {self.waiting}{consumers}'


def watch(depth: Callable[[], Depth | None]) -> Outcome:
    """Watch the platform queue until it is empty or shorter than it was, or for `WATCHED` seconds.

    :param depth: tells the length of the queue, or `None` if there is no queue.
    :returns: the outcome.

    >>> depths = iter([Depth(7), Depth(8), Depth(6)])
    >>> watch(lambda: next(depths)).note
    'waiting messages: 6'
    """
    first = depth()
    if first is None:
        return Outcome(skipped='there is no platform queue')
    if first.consumers == 0:
        return _failed(f'nobody consumes it; {first}', _START)
    end = time.monotonic() + WATCHED
    now = first
    while now.waiting and now.waiting >= first.waiting and not now.received:
        if time.monotonic() >= end:
            later = written(timedelta(seconds=WATCHED))
            return _failed(f'{first}; {later} later, {now}', _SPEED_UP if now.consumers else _START)
        time.sleep(_INTERVAL)
        now = depth() or now
    return Outcome(note=str(now))


def _failed(seen: str, change: str) -> Outcome:
    return Outcome((Problem('the platform queue', seen, change),))
