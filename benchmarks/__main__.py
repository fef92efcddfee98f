"""Measure everything and print one table: `./benchmarks/run`."""

import argparse
import sys
from itertools import chain

from . import batches, importing, late_calls, losses, monitor, once, outbox, pages, publishing, storing, storms
from .table import show

if __name__ == '__main__':
    argparse.ArgumentParser(prog='./benchmarks/run', description=__doc__).parse_args()
    sys.exit(
        not show(
            chain(
                publishing.measure(30),
                importing.measure(15),
                batches.measure(),
                outbox.measure(),
                monitor.measure(),
                late_calls.measure(),
                storing.measure(),
                once.measure(),
                pages.measure(),
                losses.measure(),
                storms.measure(30),
            )
        )
    )
