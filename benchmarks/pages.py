"""How long each page takes with a million tasks of a day, and how much memory: `python -m benchmarks.pages`."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

from rig.monitor.pages import Pages, filled

from .table import Row, show

#: The longest that a page may take, in seconds: pages that read all tasks of a day, and all others.
DAY, OTHER = 1.5, 0.5
#: The most memory of the process that serves the pages, in MB.
MEMORY = 150


def measure(tasks: int = 1_000_000, rounds: int = 5) -> Iterator[Row]:
    """Measure the rows about the pages.

    :param tasks: the number of tasks
    :param rounds: measurements of each page; the median counts
    """
    with filled(tasks) as pages:
        yield from rows(pages, rounds)


def rows(pages: Pages, rounds: int) -> Iterator[Row]:
    """Measure each page of a database that was filled."""
    for title, path in pages.paths.items():
        pages.refresh()
        seconds, megabytes = _cost(pages, path, rounds)
        bound = DAY if title.endswith('-day') else OTHER
        yield Row(
            f'page {title}',
            f'{seconds:.2f} s',
            f'{megabytes:.0f} MB, at most {MEMORY} MB',
            seconds,
            f'at most {bound if megabytes <= MEMORY else 0}',
        )


def _cost(pages: Pages, path: str, rounds: int) -> tuple[float, float]:
    times = []
    # The kernel begins to note the most memory anew.
    Path(f'/proc/{pages.pid}/clear_refs').write_text('5')
    for _ in range(rounds):
        start = time.perf_counter()
        with urlopen(pages.url + path) as page:
            page.read()
        times.append(time.perf_counter() - start)
    status = Path(f'/proc/{pages.pid}/status').read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith('VmHWM'))
    return statistics.median(times), int(kilobytes) / 1000


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tasks', type=int, default=1_000_000, help='tasks in the database')
    parser.add_argument('--rounds', type=int, default=5, help='measurements of each page; the median counts')
    options = parser.parse_args()
    sys.exit(not show(measure(options.tasks, options.rounds)))
