"""Show tasks: on a terminal as a table that fits it, in a pipe as lines of fields."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import click
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..durations import briefly
from ..tracked.documents import dumped, dumped_tree
from ..tracked.task import TrackedTask
from ..tracked.tree import Node
from .output import is_terminal
from .safe_text import call, harmless

_STYLES = {'SUCCESS': 'green', 'FAILURE': 'bold red', 'REVOKED': 'magenta', 'STARTED': 'cyan', 'RETRY': 'yellow'}
_NOT_STORED = '(not stored)'
_BRANCHES = ('├─ ', '└─ ', '│  ', '   ')
_ASCII_BRANCHES = ('|- ', '`- ', '|  ', '   ')
_INDENTS = ('  ', '  ', '  ', '  ')
# The width that a tree keeps beside its branches for state, duration, id and name.
_BESIDE = 72
# The width from which a terminal has room for the queue.
_WIDE = 100
# The most characters of arguments in a pipe, where nothing limits the width of a line.
_LONGEST = 500


class _Line(NamedTuple):
    task: TrackedTask
    state: str
    branches: str


class _Column(NamedTuple):
    title: str
    text: Callable[[_Line], str]
    width: int
    justify: Literal['left', 'right'] = 'left'


def _age(line: _Line) -> str:
    seen = line.task.first_seen
    return '' if seen is None else briefly(datetime.now(UTC) - seen)


_AGE = _Column('AGE', _age, 8, 'right')
_STATE = _Column('STATE', lambda line: line.state, 12)
_TOOK = _Column('TOOK', lambda line: briefly(line.task.duration), 8, 'right')
_ID = _Column('ID', lambda line: line.task.task_id, 40)
_QUEUE = _Column('QUEUE', lambda line: line.task.routing_key or '', 20)


class Screen:
    """Shows tasks on the standard output.

    :param console: the console that shows them.
    :param arguments: whether to show the arguments of tasks, and the values that they returned or raised.
    """

    def __init__(self, console: Console, arguments: bool = False) -> None:
        self.console = console
        self.arguments = arguments

    @property
    def is_terminal(self) -> bool:
        """Whether the output is a terminal that can do more than print lines."""
        return is_terminal(self.console)

    def tasks(self, tasks: Iterable[TrackedTask]) -> None:
        """Show a list."""
        if self.is_terminal:
            self.console.print(self.table(tasks))
        else:
            for task in tasks:
                self.line(task)

    def line(self, task: TrackedTask) -> None:
        """Show a task as a line of fields between tabs: first seen, state, duration, id, queue, name, arguments."""
        self._print(_Line(task, task.status, ''))

    def table(self, tasks: Iterable[TrackedTask]) -> RenderableType:
        """Lay out a list for the terminal."""
        queue = (_QUEUE,) if self.console.width >= _WIDE else ()
        return self._table((_Line(task, task.status, '') for task in tasks), (_AGE, _STATE, _TOOK, _ID, *queue))

    def json(self, task: TrackedTask) -> None:
        """Show a task as a line of JSON."""
        click.echo(dumped(task, self.arguments))

    def tree(self, state: str, roots: list[Node], as_json: bool = False) -> None:
        """Show a workflow: its overall state, then a line for each task."""
        if as_json:
            click.echo(dumped_tree(state, roots, self.arguments))
        elif self.is_terminal:
            self.console.print(self.drawing(state, roots))
        else:
            lines = list(_lines(roots, _INDENTS, _BESIDE))
            click.echo(_total(state, lines))
            for line in lines:
                self._print(line)

    def drawing(self, state: str, roots: list[Node]) -> RenderableType:
        """Lay out a workflow with its branches, to fit the width of the console. That need not be a terminal."""
        branches = _ASCII_BRANCHES if self.console.options.ascii_only else _BRANCHES
        deepest = max(len(branches[0]), self.console.width - _BESIDE)
        lines = list(_lines(roots, branches, deepest))
        total = Text(harmless(_total(state, lines)), _STYLES.get(state, ''))
        return Group(total, self._table(lines, (_STATE, _TOOK, _ID)))

    def _table(self, lines: Iterable[_Line], columns: Sequence[_Column]) -> Table:
        table = Table(box=None, pad_edge=False, header_style='dim')
        for column in columns:
            table.add_column(column.title, justify=column.justify, no_wrap=True, max_width=column.width)
        # This column alone shrinks where the terminal is narrow.
        table.add_column('NAME', overflow='ellipsis')
        for line in lines:
            name = Text(no_wrap=True).append(line.branches, 'dim').append(self._name(line.task))
            style = _STYLES.get(line.state, '')
            table.add_row(
                *(Text(harmless(column.text(line)), style if column is _STATE else '') for column in columns), name
            )
        return table

    def _print(self, line: _Line) -> None:
        task = line.task
        seen = '' if task.first_seen is None else task.first_seen.isoformat(timespec='seconds')
        took = '' if task.duration is None else f'{task.duration.total_seconds():.3f}'
        name = line.branches + (task.name or _NOT_STORED)
        fields = [seen, line.state, took, task.task_id, task.routing_key or '', name]
        if self.arguments:
            fields.append(call(task)[:_LONGEST])
        click.echo('\t'.join(map(harmless, fields)))

    def _name(self, task: TrackedTask) -> str:
        name = harmless(task.name or _NOT_STORED)
        # The terminal shows no more than its width, and the layout of a longer text takes time.
        return (name + (call(task) if self.arguments else ''))[: self.console.width]


def _total(state: str, lines: Sequence[_Line]) -> str:
    return f'{state}: {len(lines)} task{"" if len(lines) == 1 else "s"}'


def _lines(roots: list[Node], branches: Sequence[str], deepest: int) -> Iterator[_Line]:
    fork, corner, bar, blank = branches
    todo = [(node, '', '') for node in reversed(roots)]
    while todo:
        node, own, below = todo.pop()
        yield _Line(node.task, node.state, own)
        # Deep branches are cut at their left, so that the name of the task stays visible.
        below = below[-deepest:]
        last = len(node.children) - 1
        todo += [
            (child, below + (corner if number == last else fork), below + (blank if number == last else bar))
            for number, child in reversed(list(enumerate(node.children)))
        ]
