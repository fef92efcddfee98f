"""Search for inputs that break the package: `python -m tests.fuzz decoder --seconds 600`.

What was found to reach new code is kept in .fuzz/, where the next search starts from, and so is an input that breaks
something: `python -m tests.fuzz decoder .fuzz/decoder/crash-…` tries it again.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

TARGETS = ('decoder', 'configuration', 'page', 'results')
LIMITS = ['-timeout=10', '-rss_limit_mb=1024', '-max_len=16384']


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m tests.fuzz', description=__doc__)
    parser.add_argument('target', choices=TARGETS)
    parser.add_argument('inputs', nargs='*', type=Path, help='files to try again, instead of a search')
    parser.add_argument('--seconds', type=int, default=600, help='how long to search (default: 600)')
    return parser.parse_args()


def import_target(name: str) -> Any:
    return import_module(f'tests.fuzz.{name}')


def search(name: str, seconds: int) -> None:
    try:
        import atheris
    except ImportError:
        sys.exit('atheris is not installed: pip install -r requirements-fuzz.txt (on Linux, with Python 3.11 to 3.13)')
    with atheris.instrument_imports(include=['cadasta.workertoolbox']):
        module = import_target(name)
    directory = Path('.fuzz', name)
    corpus = directory / 'corpus'
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in module.seeds():
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    options = [*LIMITS, f'-max_total_time={seconds}', f'-artifact_prefix={directory}/', str(corpus)]
    with module.target() as run:
        atheris.Setup([sys.argv[0], *options], run)
        atheris.Fuzz()


def main() -> None:
    # Every rejected message is a warning.
    logging.disable()
    given = arguments()
    if not given.inputs:
        search(given.target, given.seconds)
        return
    with import_target(given.target).target() as run:
        for path in given.inputs:
            run(path.read_bytes())
            print(f'{path}: nothing breaks')


if __name__ == '__main__':
    main()
