"""Show tasks: on a terminal as a table that fits it, in a pipe as lines of fields."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

import click
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..durations import briefly
from ..tracked.documents import Details, document, dumped, dumped_tree, in_zone, keys
from ..tracked.extent import BRIEF, WHOLE, Extent
from ..tracked.task import TrackedTask
from ..tracked.tree import Node, walk
from . import csv_lines
from .output import is_terminal
from .safe_text import call, harmless

_STYLES = {'SUCCESS': 'green', 'FAILURE': 'bold red', 'REVOKED': 'magenta', 'STARTED': 'cyan', 'RETRY': 'yellow'}
_NOT_STORED = '(not stored)'
_BRANCHES = ('├─ ', '└─ ', '│  ', '   ')
_ASCII_BRANCHES = ('|- ', '`- ', '|  ', '   ')
_INDENTS = ('  ', '  ', '  ', '  ')
# The width that a tree keeps beside its branches for state, duration, id and name.
_BESIDE = 72
# The same where ids are cut off.
_BESIDE_BEGINNINGS = 40
# The width from which a terminal has room for whole ids beside names.
_NOT_NARROW = 80
# The width from which a terminal has room for the queue, and for how long a task waited and ran.
_WIDE = 100
# The width from which a terminal has room for what has become of a task.
_WIDEST = 120
# The most characters of arguments in a pipe, where nothing limits the width of a line.
_LONGEST = 500
# A table keeps all its rows in memory, and lays them out together.
_ROWS = 1_000


class _Line(NamedTuple):
    task: TrackedTask
    state: str
    branches: str = ''
    note: str | None = None


class _Column(NamedTuple):
    title: str
    text: Callable[[_Line], str]
    width: int
    justify: Literal['left', 'right'] = 'left'


def _age(line: _Line) -> str:
    scheduled = line.task.scheduled
    return '' if scheduled is None else briefly(datetime.now(UTC) - scheduled)


def _seconds(number: float | None) -> str:
    return briefly(None if number is None else timedelta(seconds=number))


_AGE = _Column('AGE', _age, 8, 'right')
_STATE = _Column('STATE', lambda line: line.state, 12)
_TOOK = _Column('TOOK', lambda line: briefly(line.task.duration), 8, 'right')
_WAITED = _Column('WAITED', lambda line: _seconds(line.task.waited), 8, 'right')
_RAN = _Column('RAN', lambda line: _seconds(line.task.ran), 8, 'right')
_STANDING = _Column('STANDING', lambda line: line.task.standing, 10)
_ID = _Column('ID', lambda line: line.task.task_id, 40)
# A reader who needs the rest gives these characters to --id.
_ID_BEGINS = _ID._replace(text=lambda line: line.task.task_id[:8])
_QUEUE = _Column('QUEUE', lambda line: line.task.routing_key or '', 20)


class Screen:
    """Shows tasks on the standard output.

    :param console: the console that shows them.
    :param arguments: whether to show the arguments of tasks, and the values that they returned or raised.
    :param zone: the time zone of the times that it shows.
    """

    def __init__(self, console: Console, arguments: bool = False, zone: tzinfo = UTC) -> None:
        self.console = console
        self.arguments = arguments
        self._zone = zone

    @property
    def is_terminal(self) -> bool:
        """Whether the output is a terminal that can do more than print lines."""
        return is_terminal(self.console)

    def extent(self, whole: bool = False) -> Extent:
        """Tell how much of a task has to be read to show it.

        :param whole: whether a document is shown, and not a line.
        """
        if not self.arguments:
            return BRIEF
        return WHOLE if whole else Extent(('args', 'kwargs', 'result'), 2 * _LONGEST)

    def tasks(self, tasks: Iterable[TrackedTask]) -> None:
        """Show a list."""
        if self.is_terminal:
            for some in _batches(tasks):
                self.console.print(self.table(some))
        else:
            for task in tasks:
                self.line(task)

    def line(self, task: TrackedTask) -> None:
        """Show a task as a line of fields between tabs."""
        self._print(_Line(task, task.status))

    def table(self, tasks: Iterable[TrackedTask]) -> RenderableType:
        """Lay out a list for the terminal."""
        columns = [_AGE, _STATE, _TOOK, self._id]
        if self.console.width >= _WIDE:
            standing = (_STANDING,) if self.console.width >= _WIDEST else ()
            columns = [_AGE, _STATE, *standing, _WAITED, _RAN, _ID, _QUEUE]
        return self._table((_Line(task, task.status) for task in tasks), columns)

    def json(self, task: TrackedTask) -> None:
        """Show a task as a line of JSON."""
        click.echo(dumped(task, self.arguments, self._written))

    def csv(self, tasks: Iterable[TrackedTask]) -> None:
        """Show a list as CSV."""
        documents = (document(task, self.arguments) for task in tasks)
        for line in csv_lines.lines(keys(TrackedTask, self.arguments), documents, self._written):
            click.echo(line, nl=False)

    def tree(
        self,
        state: str,
        roots: list[Node],
        as_json: bool = False,
        total: int | None = None,
        details: Details = iter,
    ) -> None:
        """Show a workflow: its overall state, then a line for each task.

        :param state: its overall state.
        :param roots: the tree.
        :param as_json: whether to show a document instead.
        :param total: the number of its tasks, where the tree has only some of them.
        :param details: gives the tasks of the tree with what is to be shown of them, from the top down.
        """
        if as_json:
            for part in dumped_tree(state, roots, self.arguments, details, self._written):
                click.echo(part, nl=False)
            click.echo()
        elif self.is_terminal:
            self.console.print(self.drawing(state, roots, total, details))
        else:
            click.echo(_heading(state, roots, total))
            for line in _lines(roots, _INDENTS, _BESIDE, details):
                self._print(line)

    def drawing(
        self, state: str, roots: list[Node], total: int | None = None, details: Details = iter
    ) -> RenderableType:
        """Lay out a workflow with its branches, to fit the width of the console. That need not be a terminal."""
        branches = _ASCII_BRANCHES if self.console.options.ascii_only else _BRANCHES
        beside = _BESIDE if self._id is _ID else _BESIDE_BEGINNINGS
        deepest = max(len(branches[0]), self.console.width - beside)
        lines = _lines(roots, branches, deepest, details)
        heading = Text(harmless(_heading(state, roots, total)), _STYLES.get(state, ''))
        return Group(heading, self._table(lines, (_STATE, _TOOK, self._id)))

    @property
    def _id(self) -> _Column:
        return _ID if self.console.width >= _NOT_NARROW else _ID_BEGINS

    def _written(self, moment: datetime) -> str:
        return in_zone(moment, self._zone)

    def _table(self, lines: Iterable[_Line], columns: Sequence[_Column]) -> Table:
        table = Table(box=None, pad_edge=False, header_style='dim')
        for column in columns:
            table.add_column(column.title, justify=column.justify, no_wrap=True, max_width=column.width)
        # This column alone shrinks where the terminal is narrow.
        table.add_column('NAME', overflow='ellipsis')
        for line in lines:
            name = Text(no_wrap=True).append(line.branches, 'dim').append(self._name(line.task))
            if line.note:
                name.append(f'  {line.note}', 'dim')
            style = _STYLES.get(line.state, '')
            table.add_row(
                *(Text(harmless(column.text(line)), style if column is _STATE else '') for column in columns), name
            )
        return table

    def _print(self, line: _Line) -> None:
        task = line.task
        seen = '' if task.first_seen is None else self._written(task.first_seen.replace(microsecond=0))
        took = '' if task.duration is None else f'{task.duration.total_seconds():.3f}'
        name = line.branches + (task.name or _NOT_STORED)
        fields = [seen, line.state, took, task.task_id, task.routing_key or '', name]
        if self.arguments:
            fields.append(call(task)[:_LONGEST])
        fields.append(line.note or task.standing)
        fields += ('' if seconds is None else f'{seconds:.3f}' for seconds in (task.waited, task.ran))
        click.echo('\t'.join(map(harmless, [*fields, task.worker or ''])))

    def _name(self, task: TrackedTask) -> str:
        name = harmless(task.name or _NOT_STORED)
        # The terminal shows no more than its width, and the layout of a longer text takes time.
        return (name + (call(task) if self.arguments else ''))[: self.console.width]


def _batches(tasks: Iterable[TrackedTask]) -> Iterator[list[TrackedTask]]:
    some: list[TrackedTask] = []
    for task in tasks:
        some.append(task)
        if len(some) == _ROWS:
            yield some
            some = []
    yield some


def _heading(state: str, roots: list[Node], total: int | None) -> str:
    shown = sum(1 for _ in walk(roots))
    whole = shown if total is None else total
    return f'{state}: {"" if total is None else f"{shown} of "}{whole} task{"" if whole == 1 else "s"}'


def _lines(roots: list[Node], branches: Sequence[str], deepest: int, details: Details) -> Iterator[_Line]:
    detailed = details(node.task for node in walk(roots))
    fork, corner, bar, blank = branches
    todo = [(node, '', '') for node in reversed(roots)]
    while todo:
        node, own, below = todo.pop()
        yield _Line(next(detailed), node.state, own, node.note)
        # Deep branches are cut at their left, so that the name of the task stays visible.
        below = below[-deepest:]
        last = len(node.children) - 1
        todo += [
            (child, below + (corner if number == last else fork), below + (blank if number == last else bar))
            for number, child in reversed(list(enumerate(node.children)))
        ]
