"""A terminal, as the reader of the manual has one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from rig.servers.process import Process, Processes, wait_until

from .manual import Block, shows


class Terminal:
    """A shell that is given one command after the other, and keeps its directory and variables.

    :param processes: stops it in the end
    :param environment: what its commands find in their environment
    :param directory: where it begins
    """

    def __init__(self, processes: Processes, environment: dict[str, str], directory: Path) -> None:
        self.shell: Process = processes.start(['bash'], environment, directory)
        self.number = 0

    def run(self, command: str, timeout: float = 120) -> str:
        """Waits for the end of a command; returns its output. Raises where it fails."""
        self.number += 1
        before = len(self.shell.log)
        # Without this, a command that reads its input would read the next commands.
        self.shell.send_line(f'{{ {command}\n}} </dev/null\necho "[{self.number}] $?"')
        end = self.shell.wait_for(rf'^\[{self.number}\] (\d+)$', timeout)
        output = self.shell.log[before : end.start()]
        assert end[1] == '0', f'{command} ended with {end[1]}:\n{output}'
        return output

    def follow(self, block: Block, timeout: float = 60) -> None:
        """Does what a block shows, and looks for the output that it shows.

        A block of the class `stays` ends with a command that goes on. What one of the class `settles` shows may take
        a while.
        """
        *commands, last = block.commands
        for command, expected in commands:
            assert shows(expected, self.run(command))
        command, expected = last
        if 'stays' in block.classes:
            self.shell.send_line(command)
            wait_until(lambda: shows(expected, self.shell.log) or self._must_run(), f'{command}: {expected}', timeout)
        elif 'settles' in block.classes:
            wait_until(lambda: shows(expected, self.run(command)), f'{command}: {expected}', timeout, 0.5)
        else:
            output = self.run(command)
            assert shows(expected, output), f'{command}:\n{output}'

    def interrupt(self) -> None:
        """Presses Ctrl+C, waits until the running command has ended, and closes the terminal."""
        os.killpg(self.shell.popen.pid, signal.SIGINT)
        assert self.shell.popen.stdin is not None
        self.shell.popen.stdin.close()
        self.shell.wait()

    def _must_run(self) -> None:
        assert self.shell.is_running, self.shell.log
