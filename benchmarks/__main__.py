"""Measure everything and print one table: `python -m benchmarks`."""
import sys
from itertools import chain

from . import importing, monitor, publishing
from .table import show

if __name__ == '__main__':
    sys.exit(not show(chain(publishing.measure(30), importing.measure(15), monitor.measure())))
