"""Let a loop run until somebody tells it to stop: another thread, or a signal that ends programs."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: A loop that waits looks whether it is told to stop, each time after so many seconds.
GLANCE = 0.1


class Stoppable:
    """A loop that stops when it is told."""

    def __init__(self) -> None:
        self._stopping = False

    def stop(self) -> None:
        """End `run` when what is at hand is done. Safe in a signal handler."""
        self._stopping = True

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT call `stop` within a ``with`` block. The second signal acts as it did before."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def on_signal(number: int, frame: Any) -> None:
            restore()
            self.stop()

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        for number in before:
            signal.signal(number, on_signal)
        try:
            yield
        finally:
            restore()


def sleep(seconds: float, stopping: Callable[[], bool]) -> None:
    """Sleep, but wake early if a loop is about to stop.

    :param seconds: the time.
    :param stopping: tells whether it is.
    """
    end = time.monotonic() + seconds
    while not stopping() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, GLANCE))
