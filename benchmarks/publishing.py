"""Measure the tasks that an app publishes in a second of CPU time: `python -m benchmarks.publishing`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from .table import Row, alternately, show

#: The earlier release that the package is compared with.
EARLIER = '0.1.15'
PUBLISHER = Path(__file__).with_name('publisher.py')


class Publisher:
    """A process that publishes when it is told to."""

    def __init__(self, name: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, PUBLISHER, name],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, 'PYTHONPATH': str(path)},
        )
        self.celery = self._read()

    def rate(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        self.process.communicate()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def measure(rounds: int) -> Iterator[Row]:
    """Measure the rows about publishing."""
    with TemporaryDirectory() as directory, ExitStack() as stack:
        subprocess.run(
            [
                sys.executable,
                '-m',
                'pip',
                'install',
                '--quiet',
                '--quiet',
                '--disable-pip-version-check',
                '--no-deps',
                '--target',
                directory,
                f'cadasta-workertoolbox=={EARLIER}',
            ],
            check=True,
        )
        root = PUBLISHER.parents[1]
        publishers = {
            name: Publisher(name, Path(directory) if name == 'earlier' else root)
            for name in ('plain', 'two', 'thousand', 'earlier')
        }
        for publisher in publishers.values():
            stack.callback(publisher.close)
        rates = alternately({name: publisher.rate for name, publisher in publishers.items()}, rounds)
    rate = partial('{:.0f}/CPU s'.format)
    ours, thousand = rates['two'], rates['thousand']
    for theirs, who, target in (
        ('plain', f'Celery {publishers["plain"].celery}, one queue', 'at least 1.0'),
        ('earlier', f'release {EARLIER}, set up by hand', 'at least 0.95'),
    ):
        yield Row('publish, memory transport', rate(ours), f'{rate(rates[theirs])} {who}', ours / rates[theirs], target)
    yield Row('publish, 1,000 queues', rate(thousand), f'{rate(ours)} 2 queues', thousand / ours, 'at least 0.95')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=30, help='measurements of each kind; the median counts')
    sys.exit(not show(measure(parser.parse_args().rounds)))
