"""Storms of any length, one after the other: `python -m rig.storm --minutes 20 --seed 7`.

It prints each fault, and the books at the end. It exits with 1 if they do not balance.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from pathlib import Path

from .faults import FAULTS
from .standalone import storm_on


def main() -> int:
    parser = argparse.ArgumentParser('python -m rig.storm', description='Run storms and balance their books.')
    parser.add_argument('--broker', choices=FAULTS, nargs='+', default=[*FAULTS], help='default: all, in turn')
    parser.add_argument('--minutes', type=float, default=5, help='the length of each storm')
    parser.add_argument('--seed', type=int, default=random.randrange(10000), help='repeats a run; default: any')
    parser.add_argument('--rate', type=float, default=5, help='workflows a second, of about four tasks each')
    parser.add_argument('--interval', type=float, default=2, help='seconds from one fault to the next, on average')
    parser.add_argument('--logs', type=Path, help='keep logs and notes in this directory')
    options = parser.parse_args()
    # Without it, the servers would outlive a run that is terminated.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    balanced = True
    for broker in options.broker:
        logs = options.logs and options.logs / broker
        books = storm_on(broker, options.seed, options.minutes * 60, options.rate, options.interval, logs)
        balanced &= books.balance
    return 0 if balanced else 1


if __name__ == '__main__':
    sys.exit(main())
