"""Run a storm, from the first process to the last line of the books."""

from __future__ import annotations

import json
import time
from typing import Any

from ..servers.broker import PLATFORM_QUEUE, Broker, Key
from ..servers.postgres import Database
from ..servers.process import Processes
from .books import Books, Tables, balance, without_end
from .faults import FAULTS, LEASE, plan
from .journal import Journal, read
from .platform import Platform
from .separate import Separate
from .together import Together

#: The seconds without progress after which nothing more will come.
PATIENCE = 45.0
#: The seconds without a note, beyond the visibility timeout and the lease, after which no message is on its way.
QUIET = 3.0
#: How often the operator looks for what is lost, at most. A chord that waits for a lost task keeps its queue busy.
ROUNDS = 6
#: The most seconds that a command may take to find what is lost, or to send it again.
MENDING = 600
#: The storm becomes some minutes old.
LATER = (
    """UPDATE celery_task SET first_seen = first_seen - interval '5 minutes',
        last_seen = last_seen - interval '5 minutes', eta = eta - interval '5 minutes'""",
    """UPDATE celery_taskmeta SET lease = lease - interval '5 minutes', date_done = date_done - interval '5 minutes',
        started = started - interval '5 minutes'""",
)
#: The seconds between two looks at the books.
LOOK = 0.5
# Whoever opens a connection waits for a broker that restarts. By default kombu gives up after four seconds.
PATIENT: dict[str, Any] = {
    'connect_retries_timeout': 600,
    'interval_start': 0,
    'interval_step': 0.1,
    'interval_max': 0.5,
}
# The options that set for how many seconds a broker hides the messages that a killed worker held.
OPTIONS: dict[str, dict[str, Any]] = {
    # On Redis, the other workers look for these messages. A worker that is killed while it looks must not keep them
    # from it.
    'redis': {
        'visibility_timeout': 8,
        'unacked_restore_interval': 1,
        'unacked_restore_throttle': 1,
        'unacked_mutex_expire': 8,
    },
    'sqs': {'visibility_timeout': 8},
}


def storm(platform: Platform, seed: int, seconds: float, rate: float, interval: float) -> Books:
    """Run a storm, and print each fault and the books.

    :param platform: the platform that it hits, at work
    :param seed: decides the work, the faults and their order
    :param seconds: its length
    :param rate: workflows a second
    :param interval: seconds from one fault to the next, on average
    """
    _say(f'storm on {platform.broker.name}: seed {seed}, {seconds:g} s, {rate:g} workflows/s')
    platform.produce(seed, seconds, int(rate * seconds))
    begun = time.monotonic()
    for fault in plan(seed, FAULTS[platform.broker.name], seconds, interval):
        while (left := begun + fault.at - time.monotonic()) > 0:
            time.sleep(min(left, LOOK))
            platform.supervise()
        platform.supervise()
        _say(f'{time.monotonic() - begun:6.1f} {fault.name}')
        platform.strike(fault.name, fault.chance)
    platform.wait_for_producers()
    platform.stop_beat()
    platform.calm()
    platform.empty_outbox()
    _say(f'{time.monotonic() - begun:6.1f} calm')
    books = wait_until_settled(platform)
    if isinstance(platform, Separate):
        books = mend(platform)
    platform.stop()
    _say(str(books))
    return books


def mend(platform: Separate) -> Books:
    """Let the operator ask what is lost, and send it again, until nothing is. Then the books must balance."""
    tables, journal = read_tables(platform)
    expected = without_end(journal, tables, time.monotonic() - QUIET)
    named: set[str] = set()
    for number in range(ROUNDS):
        if platform.broker.name == 'amqp':
            # RabbitMQ does not tell what workers hold.
            platform.stop_workers()
        found = lost(platform)
        _say(f'{len(found)} tasks are lost')
        named |= found
        if found:
            done = platform.toolbox.start('resend', '--lost', '--yes')
            # A storm that purged a queue may have lost thousands of tasks.
            assert done.wait(MENDING) == 0, done.log
            # It looks for itself, and may find more by then.
            named |= {line.partition('\t')[0] for line in done.log.splitlines() if '\t' in line}
        if platform.broker.name == 'amqp':
            platform.start_workers()
        books = wait_until_settled(platform, may_lose=False)
        if not found and (number or not expected):
            break
    return books._replace(
        counts={**books.counts, 'tasks named lost and sent again': len(named)},
        not_named=sorted(expected - named),
        named_wrongly=sorted(named - expected),
    )


def lost(platform: Separate) -> set[str]:
    """Ask `toolbox lost`, as if some minutes had passed."""
    for change in LATER:
        platform.database.execute(change)
    command = platform.toolbox.start('lost', '--json')
    code = command.wait(MENDING)
    documents = [json.loads(line) for line in command.log.splitlines() if line.startswith('{')]
    # An error has the same code as a loss.
    assert code == (1 if documents else 0), command.log
    return {document['task_id'] for document in documents}


def wait_until_settled(platform: Platform, may_lose: bool = True) -> Books:
    """Wait until the books balance and nothing is delivered again, or until nothing changes any more."""
    # A copy that came too early comes back a second after the lease.
    quiet = QUIET + max(platform.broker.options.get('visibility_timeout', 0), LEASE + 1)
    state: tuple[int, ...] = ()
    since = 0.0
    while True:
        platform.supervise()
        begun = time.monotonic()
        notes = platform.notes.stat().st_size
        tables, journal = read_tables(platform)
        books = balance(journal, tables, transport_loses=may_lose and platform.broker.name == 'redis')
        last_state, state = state, (*books.progress, 0 if books.open_items else notes)
        now = time.monotonic()
        if state != last_state:
            since = now
        if now > since + (PATIENCE if books.open_items else quiet):
            return books
        # Long books take long to read, and the tasks that are left need the processor, too.
        time.sleep(max(LOOK, 3 * (now - begun)))


def read_tables(platform: Platform) -> tuple[Tables, Journal]:
    """Read the tables and the notes as they are now."""
    rows = platform.database.execute('SELECT name, task_id, retries FROM celery_task')
    tracked = {key.id: key for key in (Key(*row) for row in rows)}
    ((rejected,),) = platform.database.execute('SELECT count(*) FROM celery_task_rejected')
    # Every process writes its note before anything is stored. So this reads the tables before the notes.
    ((in_outbox,),) = platform.database.execute('SELECT count(*) FROM celery_outbox')
    committed = {id_ for (id_,) in platform.database.execute('SELECT task_id FROM committed')}
    waiting, states = platform.broker.count(PLATFORM_QUEUE), platform.database.states()
    return Tables(tracked, rejected, waiting, states, in_outbox), Journal(read(platform.notes), committed)


def make_platform(broker: Broker, database: Database, processes: Processes) -> Platform:
    """Start a platform for a broker."""
    broker.options |= {**PATIENT, **OPTIONS.get(broker.name, {})}
    kind = Together if broker.name == 'memory' else Separate
    return kind(broker, database, processes)


def _say(line: str) -> None:
    print(line, flush=True)
