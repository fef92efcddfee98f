"""A table of what was measured: ours beside theirs, and whether a target is met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

HEADINGS = ('What', 'Ours', 'Theirs', 'Ratio', 'Target', 'Met')


class Row(NamedTuple):
    """What was measured.

    :param what: what it is, and of what
    :param ours: our figure, with its unit
    :param theirs: theirs, and who they are
    :param ratio: how they compare, or our figure where it is one that is counted
    :param target: the least that the ratio may be, or the most where it begins with `at most`
    """

    what: str
    ours: str
    theirs: str
    ratio: float
    target: str

    @property
    def is_met(self) -> bool:
        """Whether the ratio is what it should be: one that was timed, as it is shown."""
        _, _, bound = self.target.rpartition(' ')
        if self.target.startswith('at most'):
            return self.ratio <= float(bound)
        return round(self.ratio, 2) >= float(bound)


def alternately(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Measure several ways in turn, so that what else goes on on the machine meets all of them.

    :param ways: functions that measure once, by name
    :param rounds: how often each is called; each comes first as often as the others
    :returns: the medians, by name
    """
    names = list(ways)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(ways[name]())
    return {name: statistics.median(values) for name, values in figures.items()}


def show(rows: Iterable[Row]) -> bool:
    """Print rows, each as soon as it is measured.

    :returns: whether all targets are met
    """
    widths = (51, 12, 42, 5, 13)
    print(_line(HEADINGS, widths))
    all_met = True
    for row in rows:
        all_met &= row.is_met
        cells = (row.what, row.ours, row.theirs, f'{row.ratio:.2f}', row.target, 'yes' if row.is_met else 'NO')
        print(_line(cells, widths), flush=True)
    return all_met


def _line(cells: Iterable[str], widths: tuple[int, ...]) -> str:
    return '  '.join(f'{cell:<{width}}' for cell, width in zip(cells, (*widths, 0), strict=True)).rstrip()
