"""Measure the monitor on Amazon SQS where each call takes 10 ms: `python -m benchmarks.late_calls`.

A server of its own answers the calls, because moto takes longer than that, and answers one call at a time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from unittest.mock import patch

from cadasta.workertoolbox import batch
from cadasta.workertoolbox.monitor import Monitor, upgrade
from cadasta.workertoolbox.monitor.sources import sqs
from rig.monitor.databases import url_of
from rig.servers.postgres import Postgres
from rig.servers.sqs import QuickSQS
from rig.servers.started import started

from .monitor import make_app
from .table import Row, show

#: The seconds that each call takes.
DELAY = 0.01
#: The tasks a second that one process should track, or else it should need this share of a processor. The rest of the
#: time it waits for PostgreSQL, for the last of several calls, or for other processes.
RATE, FULL = 2000, 0.9


def measure(messages: int = 10_000, alone: int = 1000) -> Iterator[Row]:
    """Measure the row about late calls.

    :param messages: messages for the monitor
    :param alone: messages for a monitor that receives by one call after the other, and deletes so as well
    """
    with started(Postgres()) as postgres, started(QuickSQS()) as server:
        url = url_of(postgres.create_database())
        upgrade(url)
        rate, share = track(server, url, messages)
        with patch.multiple(sqs, CHANGING=1, RECEIVING=1):
            one_by_one, _ = track(server, url, alone)
    yield Row(
        f'track, Amazon SQS at {1000 * DELAY:g} ms a call, one process',
        f'{rate:.0f}/s, {share:.0%} CPU',
        f'{one_by_one:.0f}/s one call of each kind',
        max(rate / RATE, share / FULL),
        'at least 1',
    )


def track(server: QuickSQS, url: str, messages: int) -> tuple[float, float]:
    """Tell how many tasks a second a monitor tracks, and what share of a processor it needs."""
    app = make_app(server.broker())
    server.delay(0)
    with batch(app):
        for number in range(messages):
            app.send_task('export.project', (number, 'Zürich'), {'layers': [1, 2, 3]})
    server.delay(DELAY)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    Monitor(app, url, once=True).run()
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - begun_cpu
    return messages / seconds, cpu_seconds / seconds


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=10_000, help='messages for the monitor')
    parser.add_argument('--alone', type=int, default=1000, help='messages for one call of each kind at a time')
    sys.exit(not show(measure(**vars(parser.parse_args()))))
