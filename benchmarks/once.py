"""Count what runs twice, with and without Celery alone, and time what is taken over: `python -m benchmarks.once`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import __version__ as celery_version

from cadasta.workertoolbox.timeouts import broker_options
from rig.servers.brokers import SERVERS, open_broker
from rig.servers.postgres import Postgres
from rig.servers.process import Process, Processes, wait_until
from rig.servers.started import started
from rig.workers.services import READY, Services

from .table import Row, show

CELERY = f'Celery {celery_version}'
#: In seconds. Tasks wait, or run, for more than twice as long.
VISIBILITY_TIMEOUT = 5
LEASE = 6
IDS, COPIES = 10, 3
#: The seconds that the tasks take which a killed worker held. It had begun the first.
HELD = ('20', '0', '0', '0', '0', '0')
# The messages of the stage `held` for one queue, with four tasks that only wait for others.
BUSY, INSIST = 2 + 4, 3
#: The seconds without a message that runs after which none will come.
QUIET = 3 * VISIBILITY_TIMEOUT
PATIENCE = 300


def measure() -> Iterator[Row]:
    """Measure the rows about running once."""
    with started(Postgres()) as postgres:
        for name in ('sqs', 'redis'):
            yield compared(f'ran twice, held for 2 visibility timeouts, {name}', name, postgres, held)
        for name in ('filesystem', *SERVERS):
            yield compared(f'ran twice, {COPIES} copies of an id, {name}', name, postgres, copied)
        for name in SERVERS:
            yield taken_over(name, postgres)


def compared(what: str, name: str, postgres: Postgres, count: Callable[[Services], Counter[str]]) -> Row:
    """Count the messages that ran more than once, with the package and without it."""
    runs = []
    for is_plain in (False, True):
        with _services(name, postgres, is_plain) as services:
            runs.append(count(services))
    twice, theirs = (found.total() - len(found) for found in runs)
    return Row(what, f'{twice} of {len(runs[0])}', f'{theirs} of {len(runs[1])} {CELERY}', twice, 'at most 0')


def held(services: Services) -> Counter[str]:
    """Send tasks that wait for others, for their time, and for their retries. None of them has a copy."""
    _start_workers(services, '-c', '2')
    services.produce('later', 'held', f'prefork={BUSY - 2}')
    expected = {
        f'later.{kind}.{acks}': n for kind, n in (('busy', BUSY), ('insist', INSIST)) for acks in ('early', 'late')
    }
    services.wait_until_done(expected, PATIENCE)
    _wait_until_quiet(services)
    return Counter(f'{key.id} {key.retries}' for key in services.ran().elements())


def copied(services: Services) -> Counter[str]:
    """Send each task some times."""
    _start_workers(services, '-c', '2')
    services.produce('later', 'copied', str(IDS), str(COPIES))
    wait_until(lambda: services.ran().total() >= IDS * COPIES, 'all to be received', PATIENCE)
    _wait_until_quiet(services)
    return Counter(key.id for key in services.noted('began').elements())


def taken_over(name: str, postgres: Postgres) -> Row:
    """Kill a worker that runs a task and holds others, and start another, which runs them."""
    with _services(name, postgres, is_plain=False) as services:
        (first,) = _start_workers(services, '-c', '1', '--prefetch-multiplier', str(len(HELD)), number=1)
        services.produce('later', 'watched', *HELD)
        wait_until(lambda: first.log.count('] received') == len(HELD), 'all tasks to be received')
        wait_until(lambda: services.noted('began'), 'the first to begin')
        first.kill()
        begun, before = time.monotonic(), services.noted('began')
        _start_workers(services, '-c', '2', number=1)
        wait_until(lambda: (services.noted('began') - before).total() == len(HELD), 'all to be taken over', PATIENCE)
        seconds = time.monotonic() - begun
    most = LEASE + VISIBILITY_TIMEOUT
    return Row(
        f'taken over after kill -9, {name}',
        f'{len(HELD)} of {len(HELD)}, {seconds:.1f} s',
        f'{most} s lease and visibility timeout',
        seconds / most,
        'at most 1',
    )


def _start_workers(services: Services, *options: str, number: int = 2) -> list[Process]:
    workers = []
    for _ in range(number):
        name = f'w{len(services.processes.started)}@here'
        workers.append(services.start_worker('later', '-Q', 'prefork', *options, '-n', name))
        workers[-1].wait_for(READY)
    return workers


def _wait_until_quiet(services: Services) -> None:
    runs, since = 0, time.monotonic()
    while time.monotonic() < since + QUIET:
        if (found := services.ran().total()) > runs:
            runs, since = found, time.monotonic()
        time.sleep(0.5)


@contextmanager
def _services(name: str, postgres: Postgres, is_plain: bool) -> Iterator[Services]:
    with TemporaryDirectory() as directory, open_broker(name, Path(directory)) as broker:
        if name in ('sqs', 'redis'):
            broker.options.update(visibility_timeout=VISIBILITY_TIMEOUT, polling_interval=0.2)
        # Celery looks for what Redis should give back as often as the package does.
        options = broker_options(name, broker.options)
        settings = {'broker_url': broker.url, 'broker_transport_options': options}
        environment = {'PLAIN': json.dumps(settings)} if is_plain else {'LEASE': str(LEASE)}
        with Processes(Path(directory)) as processes:
            yield Services(broker, postgres.create_database(), processes, **environment)


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(not show(measure()))
