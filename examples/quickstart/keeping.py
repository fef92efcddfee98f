"""Leaves a quickstart running, for somebody who looks at it."""

import math
from contextlib import suppress

from .processes import Interrupted, Process, Signals
from .report import Report


def keep(signals: Signals, report: Report, page: Process, url: str) -> None:
    """Wait until somebody ends it.

    :param page: the process of the page
    :param url: its URL
    """
    report.line(f'\nEverything keeps running. Look at it: {url}   Press Ctrl-C to end it.')
    with suppress(Interrupted):
        signals.wait_until(lambda: page.ended, math.inf)
    report.line('')
