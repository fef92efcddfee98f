"""A storm, from the first process to the last line of the books."""
from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Any

from ..servers.broker import PLATFORM_QUEUE, Broker
from ..servers.postgres import Database
from ..servers.process import Processes
from .books import Books, Tables, balance
from .faults import FAULTS, plan
from .journal import Journal, read
from .platform import Platform
from .separate import Separate
from .together import Together

#: Seconds without any progress after which nothing more will come.
PATIENCE = 45.0
#: Seconds between two looks at how things are.
LOOK = 0.5
# What a killed worker held is hidden for so long, in seconds.
OPTIONS: dict[str, dict[str, Any]] = {
    # Redis leaves it to the other workers to look for it. Who is killed while it looks must not keep them from it.
    'redis': {'visibility_timeout': 8, 'unacked_restore_interval': 1, 'unacked_restore_throttle': 1,
              'unacked_mutex_expire': 8},
    'sqs': {'visibility_timeout': 8},
}


def storm(platform: Platform, seed: int, seconds: float, rate: float, interval: float,
          say: Callable[[str], None] = print) -> Books:
    """Run a storm.

    :param platform: what it hits, at work
    :param seed: the work, the faults and their order follow from it
    :param seconds: how long it lasts
    :param rate: workflows a second
    :param interval: seconds from one fault to the next, on average
    :param say: gets a line for each fault
    """
    say(f'storm on {platform.broker.name}: seed {seed}, {seconds:g} s, {rate:g} workflows/s')
    platform.produce(seed, seconds, int(rate * seconds))
    begun = time.monotonic()
    for fault in plan(seed, FAULTS[platform.broker.name], seconds, interval):
        while (left := begun + fault.at - time.monotonic()) > 0:
            time.sleep(min(left, LOOK))
            platform.supervise()
        say(f'{time.monotonic() - begun:6.1f} {fault.name}')
        platform.strike(fault.name, fault.chance)
    platform.wait_for_producers()
    platform.stop_beat()
    platform.calm()
    say(f'{time.monotonic() - begun:6.1f} calm')
    books = wait_until_settled(platform)
    platform.stop()
    say(str(books))
    return books


def wait_until_settled(platform: Platform) -> Books:
    """Waits until the books balance, or until nothing changes any more."""
    open_items, last_change = None, 0.0
    while True:
        platform.supervise()
        books = read_books(platform)
        now = time.monotonic()
        if books.open_items != open_items:
            open_items, last_change = books.open_items, now
        if (not open_items and platform.broker.count(PLATFORM_QUEUE) == 0) or now > last_change + PATIENCE:
            return books
        time.sleep(LOOK)


def read_books(platform: Platform) -> Books:
    """The books as they stand."""
    tracked = dict(platform.database.execute('SELECT task_id, retries FROM celery_task'))
    (rejected,), = platform.database.execute('SELECT count(*) FROM celery_task_rejected')
    # All that the tables hold was noted before it was stored, so they are read before the notes.
    tables = Tables(tracked, rejected, platform.database.states())
    journal = Journal(read(platform.notes), platform.broker.options.get('visibility_timeout', inf))
    return balance(journal, tables, transport_loses=platform.broker.name == 'redis')


def make_platform(broker: Broker, database: Database, processes: Processes) -> Platform:
    """All processes, at work."""
    broker.options |= OPTIONS.get(broker.name, {})
    kind = Together if broker.name == 'memory' else Separate
    return kind(broker, database, processes)
