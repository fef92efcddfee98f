"""A child process with a log: start it, wait for a line in its log, stop it, and never leave it behind."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TypeVar

POLL_SECONDS = 0.02
#: The seconds that anything may take on a machine that is busy with other things.
PATIENCE = 60.0
#: These ports are below those that Linux and macOS give to outgoing connections.
PORTS = range(10_000, 32_000)

# Processes that run tests at the same time may have ids that are close together. The factor makes them begin at ports
# that are far apart.
_numbers = count(100 * os.getpid())

T = TypeVar('T')


def wait_until(
    condition: Callable[[], T | None], what: str, timeout: float = PATIENCE, interval: float = POLL_SECONDS
) -> T:
    """Calls `condition` every `interval` seconds, and returns its first true answer.

    A condition that takes long to find out is called less often, so that asking takes a tenth of the time. Raises a
    `TimeoutError` after `timeout` seconds, which names `what` did not happen.
    """
    deadline = time.monotonic() + timeout
    while True:
        begun = time.monotonic()
        if answer := condition():
            return answer
        ended = time.monotonic()
        if ended > deadline:
            raise TimeoutError(f'{what}: not within {timeout} s')
        # The process that is waited for needs the processor, too.
        time.sleep(max(interval, min(9 * (ended - begun), 1)))


def free_port() -> int:
    """Finds a port that nobody listens on, and that the system gives to no outgoing connection meanwhile."""
    while True:
        port = PORTS[next(_numbers) % len(PORTS)]
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(('127.0.0.1', port))
            return port


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


class Process:
    """A child process in a process group of its own.

    :param argv: program and arguments
    :param log: file that gets stdout and stderr
    :param environment: the whole environment of the child
    :param directory: working directory
    :param user: system user to run as, for servers that refuse to run as root
    """

    def __init__(
        self,
        argv: Iterable[str],
        log: Path,
        environment: Mapping[str, str],
        directory: Path | None = None,
        user: pwd.struct_passwd | None = None,
    ) -> None:
        self.argv = list(argv)
        self.log_file = log
        self.asked_to_stop = False
        with log.open('ab') as output:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
                text=True,
                user=user and user.pw_uid,
                group=user and user.pw_gid,
                extra_groups=user and [],
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors='replace')

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Waits until the log has a line that `pattern` matches. Fails at once if the process ends first."""

        def found() -> re.Match[str] | None:
            was_running = self.is_running
            if match := re.search(pattern, self.log, re.MULTILINE):
                return match
            if not was_running:
                raise ChildProcessError(
                    f'{self.argv} ended with {self.popen.returncode} before it logged {pattern!r}:\n{self.log}'
                )
            return None

        try:
            return wait_until(found, f'{self.argv} to log {pattern!r}', timeout)
        except TimeoutError as error:
            raise TimeoutError(f'{error}:\n{self.log}') from None

    def send_line(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f'{line}\n')
        self.popen.stdin.flush()

    def wait(self, timeout: float = 2 * PATIENCE) -> int:
        """Returns the exit code. Raises an error with the log if the process does not end by itself."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f'{self.argv} still runs after {timeout} s:\n{self.log}') from None

    def ask_to_stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Sends the signal once and does not wait, so that several processes can stop at the same time."""
        if self.is_running and not self.asked_to_stop:
            self.asked_to_stop = True
            self.popen.send_signal(stop_signal)

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM, timeout: float = PATIENCE) -> int:
        """Ends the process by `stop_signal`, then the rest of its group by SIGKILL. Returns the exit code."""
        self.ask_to_stop(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout)
        return self.kill()

    def kill(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        return self.popen.wait()


class Processes:
    """Starts processes and stops them all when the `with` block ends.

    :param logs: directory for the log files
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.started: list[Process] = []

    def start(self, argv: Iterable[str], environment: Mapping[str, str], directory: Path | None = None) -> Process:
        process = Process(argv, self.logs / f'process-{len(self.started)}.log', environment, directory)
        self.started.append(process)
        return process

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in reversed(self.started):
            process.ask_to_stop()
        for process in reversed(self.started):
            process.stop()
