"""Show rows: on a terminal as a table that fits it, in a pipe as lines of fields with tabs between them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..durations import briefly
from .output import is_terminal
from .safe_text import harmless

# The width from which a terminal has room for all columns.
_WIDE = 120


class Column(NamedTuple):
    """A column of a table.

    :param title: its title.
    :param value: gives its value of a row: text, a number, a time, or `None`.
    :param is_wide: whether only a wide terminal has room for it.
    :param shrinks: whether it is cut where the terminal is narrow.
    :param unit: what a terminal shows behind a number.
    """

    title: str
    value: Callable[[Any], Any]
    is_wide: bool = False
    shrinks: bool = False
    unit: str = ''

    @property
    def justify(self) -> Literal['left', 'right']:
        return 'left' if self.title in _LEFT or self.shrinks else 'right'


# Texts, which have no digits to compare with those above and below.
_LEFT = ('ID', 'EXAMPLE', 'DIGEST', 'STANDING', 'POOL', 'TOOLBOX', 'PROCESS')


def show(console: Console, columns: Sequence[Column], rows: Iterable[Any]) -> None:
    """Show rows on the standard output.

    :param console: the console that shows them.
    :param columns: the columns.
    :param rows: the rows.
    """
    if not is_terminal(console):
        for row in rows:
            click.echo('\t'.join(harmless(_exactly(column.value(row))) for column in columns))
        return
    columns = [column for column in columns if console.width >= _WIDE or not column.is_wide]
    table = Table(box=None, pad_edge=False, header_style='dim')
    for column in columns:
        table.add_column(column.title, justify=column.justify, no_wrap=not column.shrinks, overflow='ellipsis')
    for row in rows:
        # The terminal shows no more than its width, and the layout of a longer text takes time.
        texts = (harmless(_briefly(column.value(row), column.unit))[: console.width] for column in columns)
        table.add_row(*(Text(text, no_wrap=True) for text in texts))
    console.print(table)


def _exactly(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec='seconds')
    if isinstance(value, float):
        return f'{value:.3f}'
    return '' if value is None else str(value)


def _briefly(value: Any, unit: str) -> str:
    if isinstance(value, datetime):
        return briefly(datetime.now(UTC) - value)
    if isinstance(value, float):
        return f'{value:.{1 if value >= 1 else 2}f}{unit}'
    return '' if value is None else f'{value}'
