"""Starts the processes of a quickstart, each in a session of its own, with a log, and leaves none behind."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

POLL_SECONDS = 0.1
END_SECONDS = 15


class QuickstartError(Exception):
    """Something that the quickstart needs is missing or does not work. The message tells the person who ran it."""


class Interrupted(BaseException):
    """A signal ended the quickstart.

    :param number: the number of the signal
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Turns Ctrl-C and its like into an exception, but only while the quickstart waits.

    Python's own `KeyboardInterrupt` could come after a process has started and before the quickstart has noted that,
    and the process would be left behind.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._number = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        self._stop.set()

    def wait_until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait for a condition.

        :returns: whether it came true in time
        :raises Interrupted: on a signal
        """
        deadline = time.monotonic() + seconds
        while True:
            is_met = bool(condition())
            if self._stop.wait(0 if is_met else POLL_SECONDS):
                raise Interrupted(self._number)
            if is_met or time.monotonic() > deadline:
                return is_met


class Process:
    """A child process; its output is in `log`. `stop` is the signal that asks it to end in good order."""

    def __init__(self, argv: Sequence[str | Path], log: Path, stop: int = signal.SIGTERM, **options: Any) -> None:
        self.log = log
        self.stop = stop
        with log.open('wb') as output:
            self.popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **options,
            )

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.popen.poll() is not None

    def output(self) -> str:
        """Gives what it has written so far."""
        return self.log.read_text(errors='replace')

    def last_words(self) -> str:
        """The end of what it has written, for an error message."""
        return re.sub(r'(?m)^', '    ', '\n'.join(self.output().splitlines()[-15:]))


def end(processes: Iterable[Process]) -> None:
    """End processes and whatever they have started: in good order if they can, else by force."""
    processes = list(processes)
    for process in processes:
        if not process.ended:
            process.popen.send_signal(process.stop)
    deadline = time.monotonic() + END_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.popen.wait(max(0, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
