"""Count the messages that are lost or doubled, with and without failures: `python -m benchmarks.losses`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rig.monitor.databases import TaskDatabase, url_of
from rig.monitor.producer import Producer, expect_kills, kill_while_it_stores
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker, Key
from rig.servers.brokers import open_broker
from rig.servers.postgres import Postgres
from rig.servers.process import Processes, wait_until
from rig.servers.rabbitmq import RabbitMQ
from rig.servers.started import started
from rig.workers.one_process import SENT, send_all_in_one
from rig.workers.outage import finish_in_outage
from rig.workers.restart import publish_in_restart
from rig.workers.services import BEAT, WORKFLOWS, Services

from .monitor import make_app
from .table import Row, show

# The seconds that all tasks may take, and the seconds for which PostgreSQL is away.
PATIENCE = 300
AWAY = 20
AT_ONCE = 50


def measure(tasks: int = 2000, kills: int = 50) -> Iterator[Row]:
    """Measure the rows about loss.

    :param tasks: the number of tasks that eight threads send, and that are sent while monitors are killed
    :param kills: the number of monitors that are killed
    """
    with started(Postgres()) as postgres:
        for name in ('filesystem', 'redis', 'sqs', 'amqp'):
            with _services(name, postgres) as services:
                yield mixture(services, tasks)
        with _services('memory', postgres) as services:
            yield mixture_in_one_process(services)
        with _services('redis', postgres) as services:
            yield outage(services)
        with started(RabbitMQ()) as server, _directory() as directory, Processes(directory) as processes:
            yield restart(Services(server.broker(), postgres.create_database(), processes), server)
        for name in ('redis', 'sqs', 'amqp'):
            yield killed(name, postgres, tasks, kills)


def mixture(services: Services, tasks: int) -> Row:
    """Send from eight threads over four connections, then workflows, retries, chords and beat, to prefork workers."""
    services.produce('export', 'flood', str(tasks))
    workers = services.start_workers()
    _wait_until_done(services, {'export.tasks.add': tasks})
    services.produce('export', 'workflows')
    beat = services.start_beat('export')
    expected = Counter(WORKFLOWS) + Counter(BEAT) + Counter({'export.tasks.add': tasks, 'celery.chord_unlock': 1})
    _wait_until_done(services, expected)
    beat.stop()
    _wait_until_done(services, expected)
    for worker in workers:
        worker.ask_to_stop()
    for worker in workers:
        worker.stop()
    return compared(services, services.copies())


def mixture_in_one_process(services: Services) -> Row:
    """Send the same over the broker in the memory of one process."""
    worker = send_all_in_one(services)
    _wait_until_done(services, SENT)
    worker.send_line('write')
    worker.wait_for('written$')
    worker.stop()
    return compared(services, services.noted('copied'))


def outage(services: Services) -> Row:
    """Stop PostgreSQL while tasks finish."""
    worker = finish_in_outage(services, AT_ONCE, AWAY)
    with suppress(TimeoutError):
        wait_until(lambda: 'STARTED' not in services.database.states().values(), 'results to be stored', PATIENCE)
    worker.stop()
    stored = list(services.database.states().values()).count('SUCCESS')
    return _row(f'results lost, PostgreSQL is away for {AWAY} s, redis', AT_ONCE - stored, AT_ONCE)


def restart(services: Services, server: RabbitMQ) -> Row:
    """Restart the broker while tasks are published."""
    publish_in_restart(services, server)
    published = services.published()
    work = Counter(message.key for message in services.broker.drain('export'))
    lost = (published - work) + (published - services.copies())
    return _row('messages lost, restarted while published, amqp', lost.total(), published.total())


def killed(name: str, postgres: Postgres, tasks: int, kills: int) -> Row:
    """Kill monitors while they store tasks."""
    with _broker(name) as (broker, directory), Processes(directory) as processes:
        expect_kills(broker)
        database = TaskDatabase(url_of(postgres.create_database()))
        producer = Producer(make_app(broker))
        toolbox = Toolbox(directory, processes, broker, database.url)
        monitor = kill_while_it_stores(toolbox, producer, database, tasks, kills)
        with suppress(TimeoutError):
            producer.wait_until_stored(database, broker, PATIENCE)
        monitor.stop()
        stored = database.retries()
        wrong = len(producer.retries.items() - stored.items()) + len(stored.keys() - producer.retries.keys())
    return _row(f'tasks lost or wrong, monitor killed {kills} times, {name}', wrong, tasks)


def _wait_until_done(services: Services, tasks: dict[str, int]) -> None:
    # The row counts the messages that do not come.
    with suppress(TimeoutError):
        services.wait_until_done(tasks, PATIENCE)


def compared(services: Services, copies: Counter[Key]) -> Row:
    """Compare the messages that workers ran, and those of the platform queue, with those that were published."""
    published = services.published()
    wrong = sum(_difference(published, found) for found in (services.ran(), copies))
    return _row(f'messages lost or doubled, nothing fails, {services.broker.name}', wrong, published.total())


def _difference(one: Counter[Key], other: Counter[Key]) -> int:
    return ((one - other) + (other - one)).total()


def _row(what: str, wrong: int, total: int) -> Row:
    return Row(what, f'{wrong} of {total}', '', wrong, 'at most 0')


@contextmanager
def _services(name: str, postgres: Postgres) -> Iterator[Services]:
    with _broker(name) as (broker, directory), Processes(directory) as processes:
        yield Services(broker, postgres.create_database(), processes)


@contextmanager
def _broker(name: str) -> Iterator[tuple[Broker, Path]]:
    with _directory() as directory, open_broker(name, directory) as broker:
        yield broker, directory


@contextmanager
def _directory() -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        yield Path(directory)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tasks', type=int, default=2000, help='tasks of each row on a broker')
    parser.add_argument('--kills', type=int, default=50, help='how many monitors are killed')
    sys.exit(not show(measure(**vars(parser.parse_args()))))
