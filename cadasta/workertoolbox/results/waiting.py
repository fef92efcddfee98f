"""How long a process waits for its database: outside the time limits of its task, and not when its worker ends."""

import atexit
import mmap
import os
import select
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery.exceptions import Reject
from celery.signals import worker_process_init, worker_shutting_down

#: For how long a worker that was told to end still waits for its database, in seconds.
GRACE = 10.0

# A record for each process: its id, the seconds that it has waited in its present task, and since when it waits.
_RECORD = struct.Struct('qdd')
_RECORDS = 4096
_SIZE = _RECORDS * _RECORD.size

# Children that are not forked find here the main process, and the directory with what they share with it.
_VARIABLE = 'CADASTA_WORKER_SHARED'


class _Shared:
    """The memory and the pipe that a worker's main process shares with its children."""

    def __init__(self, main: int, ended: int, running: int | None, memory: mmap.mmap) -> None:
        self.main = main
        # The children see the end of this pipe when the main process closes it, and when it was killed.
        self.ended, self._running = ended, running
        self._memory = memory

    def end(self) -> None:
        """Tell all processes that the worker ends; in a child, leave it to the main process to say so."""
        if self._running is not None:
            os.close(self._running)
            self._running = None

    def read(self, pid: int) -> tuple[float, float]:
        owner, waited, since = _RECORD.unpack_from(self._memory, self._place(pid))
        return (waited, since) if owner == pid else (0.0, 0.0)

    def write(self, waited: float, since: float) -> None:
        pid = os.getpid()
        _RECORD.pack_into(self._memory, self._place(pid), pid, waited, since)

    @staticmethod
    def _place(pid: int) -> int:
        return pid % _RECORDS * _RECORD.size


_shared: _Shared | None = None


def prepare(spawns: bool = False) -> None:
    """Make this process the main process of a worker.

    :param spawns: whether children of the worker are new processes instead of forks. They need a name for what is
        shared.
    """
    global _shared
    if not spawns:
        os.environ.pop(_VARIABLE, None)
        _shared = _Shared(os.getpid(), *os.pipe(), mmap.mmap(-1, _SIZE))
        return
    directory = Path(tempfile.mkdtemp(prefix='celery-worker-'))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.mkfifo(directory / 'running')
    (directory / 'waited').write_bytes(bytes(_SIZE))
    ended, memory = _opened(directory)
    _shared = _Shared(os.getpid(), ended, os.open(directory / 'running', os.O_WRONLY), memory)
    os.environ[_VARIABLE] = f'{os.getpid()}:{directory}'


def join() -> None:
    """Make this process a child of a worker, unless it was forked and is one already."""
    global _shared
    if _shared is None and (shared := os.environ.get(_VARIABLE)):
        main, _, directory = shared.partition(':')
        ended, memory = _opened(Path(directory))
        _shared = _Shared(int(main), ended, None, memory)


def _opened(directory: Path) -> tuple[int, mmap.mmap]:
    # Without the flag, this would wait for a process that writes.
    ended = os.open(directory / 'running', os.O_RDONLY | os.O_NONBLOCK)
    with (directory / 'waited').open('r+b') as file:
        return ended, mmap.mmap(file.fileno(), _SIZE)


def is_main_process() -> bool:
    """Tell whether this process is the main process of a worker."""
    return _shared is not None and _shared.main == os.getpid()


@worker_process_init.connect
def _leave_it_to_the_main_process(**kwargs: Any) -> None:
    # The solo pool sends this signal in the main process.
    if _shared is not None and not is_main_process():
        _shared.end()


@worker_shutting_down.connect
def _end(**kwargs: Any) -> None:
    if _shared is not None:
        _shared.end()


def begin_task() -> None:
    """Forget what this process has waited for in its last task."""
    if _shared is not None:
        _shared.write(0.0, 0.0)


@contextmanager
def outside_limits() -> Iterator[None]:
    """Count the time within the block as none of the present task."""
    if _shared is None:
        yield
        return
    waited, _ = _shared.read(os.getpid())
    begin = time.monotonic()
    _shared.write(waited, begin)
    try:
        yield
    finally:
        _shared.write(waited + time.monotonic() - begin, 0.0)


def waited(pid: int) -> tuple[float, bool]:
    """Tell for how long a child has waited in its present task, in seconds, and whether it waits now."""
    seconds, since = _shared.read(pid) if _shared else (0.0, 0.0)
    return (seconds + time.monotonic() - since, True) if since else (seconds, False)


class Patience:
    """The pauses between the attempts to reach a database, until the worker ends."""

    def __init__(self) -> None:
        self._deadline: float | None = None

    def sleep(self, seconds: float) -> None:
        """Wait, for a shorter time if the worker is told to end meanwhile.

        :raises celery.exceptions.Reject: where the worker was told to end, and has waited long enough since. The
            message goes back to the broker, if it is not acknowledged yet.
        """
        if self._deadline is None:
            if _shared is None:
                time.sleep(seconds)
                return
            ended, _, _ = select.select([_shared.ended], [], [], seconds)
            if ended:
                self._deadline = time.monotonic() + GRACE
            return
        if time.monotonic() > self._deadline:
            raise Reject('The worker ends, and its result database is away', requeue=True)
        time.sleep(min(seconds, 1.0))
