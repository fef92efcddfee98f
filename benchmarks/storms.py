"""Count the messages that a storm loses or doubles on each broker: `python -m benchmarks.storms`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout

from rig.storm.faults import FAULTS
from rig.storm.standalone import storm_on

from .table import Row, show

SEED = 7


def measure(seconds: float) -> Iterator[Row]:
    """Measure the rows about loss: run a storm on each broker, and count in its books."""
    for broker in FAULTS:
        with redirect_stdout(sys.stderr):
            books = storm_on(broker, SEED, seconds, rate=5, interval=2)
        lost = (
            books.missing,
            books.strange,
            books.not_committed,
            books.lost,
            books.not_named,
            books.named_wrongly,
        )
        doubled = (books.at_the_same_time, books.after_the_end, books.without_a_reason)
        wrong = sum(map(len, lost + doubled))
        tasks, results = books.counts['tasks scheduled'], len(books.unfinished)
        named = books.counts.get('tasks named lost and sent again', 0)
        cause = f'toolbox lost named {named}, and toolbox resend sent them again'
        where = f'storm of {seconds:g} s, {broker}'
        yield Row(f'tasks lost or doubled, {where}', f'{wrong} of {tasks}', cause, wrong, 'at most 0')
        yield Row(f'results lost, {where}', f'{results} of {tasks}', '', results, 'at most 0')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=60, help='the length of a storm')
    sys.exit(not show(measure(parser.parse_args().seconds)))
