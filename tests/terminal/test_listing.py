"""Lists on a terminal and in a pipe."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from cadasta.workertoolbox.terminal.listing import Column, show

COLUMNS = (
    Column('ID', lambda row: row[0]),
    Column('COUNT', lambda row: row[1]),
    Column('RATE', lambda row: row[2], unit='/h'),
    Column('SEEN', lambda row: row[3], is_wide=True),
    Column('MESSAGE', lambda row: row[4], shrinks=True),
)
SEEN = datetime(2999, 1, 1, tzinfo=UTC)
ROWS = (
    ('a', 7, 0.125, None, 'short'),
    ('abc', 12345, 12.75, SEEN, ' '.join(['long'] * 99)),
)


@pytest.mark.parametrize(
    ('width', 'shown'),
    [
        (60, ['ID   COUNT    RATE  MESSAGE', 'a        7  0.12/h  short', 'abc  12345  12.8/h  long long long']),
        (119, ['ID   COUNT    RATE  MESSAGE', 'a        7  0.12/h  short', 'abc  12345  12.8/h  long long long']),
        (
            120,
            ['ID   COUNT    RATE  SEEN  MESSAGE', 'a        7  0.12/h        short', 'abc  12345  12.8/h  0.0s  long'],
        ),
    ],
)
def test_a_row_is_one_line_that_fits(width: int, shown: list[str]) -> None:
    output = StringIO()
    show(Console(file=output, width=width, force_terminal=True, color_system=None), COLUMNS, ROWS)
    heading, first, second = output.getvalue().splitlines()
    assert [heading.rstrip(), first.rstrip(), second[: len(shown[2])]] == shown
    assert (len(second), second[-1]) == (width, '…')


def test_a_pipe_gets_all(capsys: pytest.CaptureFixture[str]) -> None:
    show(Console(file=StringIO()), COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        'a\t7\t0.125\t\tshort',
        f'abc\t12345\t12.750\t2999-01-01T00:00:00+00:00\t{ROWS[1][4]}',
    ]
