"""Shows a quickstart: with colours and a status line on a terminal, in plain lines anywhere else."""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence

from celery import states

from cadasta.workertoolbox.terminal.output import make_console
from cadasta.workertoolbox.terminal.tasks import Screen
from cadasta.workertoolbox.tracked import Node

from .observation import Tracked

BOLD, DIM, RED, GREEN = '1', '2', '31', '32'
HEADINGS = ('Task', 'Id', 'Queues reached', 'State', 'Result')
INDENT = ' ' * 9
NOT_KEPT = '-'
#: How wide trees may be in a pipe, which has no width of its own.
WIDTH = 120


class Report:
    """Writes to standard output."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._is_terminal = sys.stdout.isatty() and os.environ.get('TERM') != 'dumb'
        self._has_colours = self._is_terminal and 'NO_COLOR' not in os.environ
        self._status = ''

    def step(self, text: str) -> None:
        """Write a line with the time that has passed."""
        self.line(f'{self._paint(f"{time.monotonic() - self._started:5.1f} s", DIM)}  {text}')

    def status(self, text: str) -> None:
        """Write how far it is. On a terminal, the next line replaces this one."""
        if text == self._status:
            return
        if self._is_terminal:
            print(f'\r\033[K{INDENT}{text}', end='', flush=True)
        else:
            self.line(INDENT + text)
        self._status = text

    def table(self, workflows: Mapping[str, Iterable[Tracked]], platform: str) -> None:
        """Write a table of the tasks of workflows.

        :param workflows: the tasks by the titles of their workflows
        :param platform: the name of the platform queue
        """
        cells = {title: [_cells(task, platform) for task in tasks] for title, tasks in workflows.items()}
        rows = [HEADINGS, *(row for part in cells.values() for row in part)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        self.line('')
        self.line(self._row(HEADINGS, widths, [BOLD] * len(HEADINGS)))
        for title, part in cells.items():
            self.line(self._paint(title, BOLD))
            for row in part:
                colour = {NOT_KEPT: DIM, states.SUCCESS: GREEN}.get(row[3], RED)
                self.line(self._row(row, widths, ['', DIM, '', colour, '']))

    def tree(self, title: str, state: str, roots: list[Node]) -> None:
        """Draw a workflow, with the state that it is in as a whole."""
        self.line(f'\n{self._paint(title, BOLD)}')
        console = make_console()
        if not console.is_terminal:
            console.width = WIDTH
        console.print(Screen(console).drawing(state, roots))

    def verdict(self, is_good: bool, text: str) -> None:
        """Write the last line."""
        self.line('')
        self.line(self._paint(text, GREEN if is_good else RED))

    def line(self, text: str) -> None:
        """Write a line."""
        if self._is_terminal and self._status:
            print('\r\033[K', end='')
        self._status = ''
        print(text, flush=True)

    def _paint(self, text: str, code: str) -> str:
        return f'\033[{code}m{text}\033[0m' if self._has_colours and code else text

    def _row(self, cells: Sequence[str], widths: Sequence[int], codes: Sequence[str]) -> str:
        padded = [f'{cell:{width}}' for cell, width in zip(cells, widths, strict=True)]
        if self._is_terminal:
            room = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * len(widths)
            padded[-1] = textwrap.shorten(cells[-1], max(room, len(HEADINGS[-1])), placeholder='...')
        painted = [self._paint(cell, code) for cell, code in zip(padded, codes, strict=True)]
        return '  ' + '  '.join(painted).rstrip()


def _cells(task: Tracked, platform: str) -> tuple[str, ...]:
    queues = [name if times == 1 else f'{name} x{times}' for name, times in task.on_work_queues.items()]
    reached = ', '.join([*queues, *([platform] if task.is_tracked else [])])
    state = task.state if task.keeps_result else NOT_KEPT
    return task.name, task.id[:8], reached or 'none', state, ' '.join(task.result.split())
