"""Measure what an outbox costs, against one transaction a message by hand: `python -m benchmarks.outbox`.

It starts servers of its own: PostgreSQL and Redis.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from celery import Celery

from cadasta.workertoolbox import Relay, outbox, upgrade_outbox
from rig.monitor.databases import url_of
from rig.servers.broker import Broker
from rig.servers.postgres import Postgres
from rig.servers.redis import Redis
from rig.servers.started import started

from .monitor import make_app
from .table import Row, alternately, show

TABLE = 'CREATE TABLE by_hand (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message json NOT NULL)'
WRITE = sa.text('INSERT INTO by_hand (message) VALUES (:message)')
TAKE = sa.text('SELECT id, message FROM by_hand ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED')
DELETE = sa.text('DELETE FROM by_hand WHERE id = :id')


class Shop:
    """A database that has an outbox, and one that somebody has made by hand."""

    def __init__(self, app: Celery, broker: Broker, url: str, tasks: int) -> None:
        self.app, self.broker, self.url, self.tasks = app, broker, url, tasks
        self.engine = sa.create_engine(url)
        upgrade_outbox(url)
        with self.engine.begin() as connection:
            connection.execute(sa.text(TABLE))

    def write(self) -> None:
        with self.engine.begin() as connection, outbox(self.app, connection):
            for number in range(self.tasks):
                self.app.send_task('export.project', (number,))

    def write_by_hand(self) -> None:
        for number in range(self.tasks):
            with self.engine.begin() as connection:
                connection.execute(WRITE, {'message': json.dumps({'name': 'export.project', 'args': [number]})})

    def relay(self) -> None:
        Relay(self.app, self.url, once=True).run()

    def relay_by_hand(self) -> None:
        while True:
            with self.engine.begin() as connection:
                row = connection.execute(TAKE).one_or_none()
                if row is None:
                    return
                self.app.send_task(row.message['name'], row.message['args'])
                connection.execute(DELETE, {'id': row.id})

    def timed(self, action: Callable[[], None], before: Callable[[], None] | None = None) -> float:
        """The seconds that a task takes."""
        if before is not None:
            before()
        begun = time.perf_counter()
        action()
        return (time.perf_counter() - begun) / self.tasks


def measure(tasks: int = 2000, rounds: int = 3) -> Iterator[Row]:
    """Measure the rows about outboxes.

    :param tasks: the tasks of a transaction
    :param rounds: measurements of each kind; the median counts
    """
    with started(Postgres()) as postgres, started(Redis()) as redis:
        broker = redis.broker()
        shop = Shop(make_app(broker), broker, url_of(postgres.create_database()), tasks)
        shop.write()
        shop.relay()
        written = alternately(
            {'ours': lambda: shop.timed(shop.write), 'theirs': lambda: shop.timed(shop.write_by_hand)}, rounds
        )
        shop.relay()
        shop.relay_by_hand()
        relayed = alternately(
            {
                'ours': lambda: shop.timed(shop.relay, shop.write),
                'theirs': lambda: shop.timed(shop.relay_by_hand, shop.write_by_hand),
            },
            rounds,
        )
    yield Row(
        'microseconds to write a task with a transaction',
        f'{1e6 * written["ours"]:.0f}',
        f'{1e6 * written["theirs"]:.0f} by hand, without Celery, one transaction a message',
        written['ours'] / written['theirs'],
        'at most 3.0',
    )
    yield Row(
        'tasks a second that a relay publishes, Redis',
        f'{1 / relayed["ours"]:.0f}',
        f'{1 / relayed["theirs"]:.0f} by hand, one transaction a message',
        relayed['theirs'] / relayed['ours'],
        'at least 1.0',
    )


if __name__ == '__main__':
    logging.disable()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tasks', type=int, default=2000)
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    sys.exit(not show(measure(arguments.tasks, arguments.rounds)))
