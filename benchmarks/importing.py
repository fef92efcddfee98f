"""Measure the time to import `Config` and to make one: `python -m benchmarks.importing`."""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from .table import Row, alternately, show

ROOT = Path(__file__).parents[1]
OURS = 'import cadasta.workertoolbox.conf; cadasta.workertoolbox.conf.Config()'
MEASURE = '; import time; print(time.process_time())'
LOADED = '; import sys; print(*(name for name in sys.modules if name.startswith("cadasta.")))'


def python(code: str) -> str:
    """Run code in a process that has compiled everything before."""
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    return subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, env=environment, check=True, text=True, capture_output=True
    ).stdout


def names_of_celery_and_kombu() -> Iterator[str]:
    """Give the import statements of the modules that `Config` needs, Celery's and kombu's names alone."""
    for module in python(OURS + LOADED).split():
        path = ROOT.joinpath(*module.split('.'))
        file = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom) and str(node.module).partition('.')[0] in ('celery', 'kombu'):
                yield ast.unparse(node)


def measure(rounds: int) -> Iterator[Row]:
    """Measure the row about importing."""
    theirs = '; '.join(names_of_celery_and_kombu())
    ways = {code: partial(lambda code: float(python(code + MEASURE)), code) for code in (OURS, theirs)}
    alternately(ways, 1)
    seconds = alternately(ways, rounds)
    ratio = seconds[OURS] / seconds[theirs]
    yield Row(
        'import conf; Config(), CPU time',
        f'{1000 * seconds[OURS]:.0f} ms',
        f'{1000 * seconds[theirs]:.0f} ms Celery {version("celery")} and kombu {version("kombu")} alone',
        ratio,
        'at most 1.1',
    )


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=15, help='measurements of each kind; the median counts')
    sys.exit(not show(measure(parser.parse_args().rounds)))
