"""The standard output of commands."""

import sys
from io import TextIOWrapper

from rich.console import Console


def make_console(no_color: bool = False) -> Console:
    """Make a console of the standard output.

    :param no_color: whether to show no colours, even on a terminal.
    :returns: the console. It shows text as it is, without markup. It writes an escape for a character that the encoding
        of the output lacks.

    >>> make_console().print('[b]:smile:')
    [b]:smile:
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')
    return Console(no_color=no_color or None, markup=False, emoji=False, highlight=False)


def is_terminal(console: Console) -> bool:
    """Tell whether the output is a terminal that can do more than print lines."""
    return console.is_terminal and not console.is_dumb_terminal
