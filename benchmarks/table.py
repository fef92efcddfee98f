"""A table of measurements: our figure beside theirs, and whether ours meets its target."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

HEADINGS = ('What', 'Ours', 'Theirs', 'Ratio', 'Target', 'Met')


class Row(NamedTuple):
    """A measurement.

    :param what: the quantity, and the thing that has it
    :param ours: our figure, with its unit
    :param theirs: their figure, and their name
    :param ratio: the ratio of both figures, or our figure where it is a count
    :param target: the lowest ratio allowed, or the highest where it begins with `at most`
    """

    what: str
    ours: str
    theirs: str
    ratio: float
    target: str

    @property
    def is_met(self) -> bool:
        """Whether the ratio meets the target. A ratio of times counts as it is shown."""
        _, _, bound = self.target.rpartition(' ')
        if self.target.startswith('at most'):
            return self.ratio <= float(bound)
        return round(self.ratio, 2) >= float(bound)


def alternately(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Measure several ways in turn, so that other work on the machine slows all of them alike.

    :param ways: functions that measure once, by name
    :param rounds: the number of calls of each. Each comes first as often as the others
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
    """Print each row as soon as it is measured.

    :returns: whether all targets are met
    """
    widths = (51, 16, 42, 5, 13)
    print(_line(HEADINGS, widths))
    all_met = True
    for row in rows:
        all_met &= row.is_met
        cells = (row.what, row.ours, row.theirs, f'{row.ratio:.2f}', row.target, 'yes' if row.is_met else 'NO')
        print(_line(cells, widths), flush=True)
    return all_met


def _line(cells: Iterable[str], widths: tuple[int, ...]) -> str:
    return '  '.join(f'{cell:<{width}}' for cell, width in zip(cells, (*widths, 0), strict=True)).rstrip()
