"""Measure the speed of the task monitor, and its calls of the SQS API: `python -m benchmarks.monitor`.

It starts servers of its own: RabbitMQ, PostgreSQL, and moto's SQS. Three programs drain the same stream of messages:
the monitor, a consumer that stores each message in a transaction of its own, and a consumer that stores nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from typing import Any

import kombu
import sqlalchemy as sa
from celery import Celery
from kombu import Queue
from sqlalchemy.orm import DeclarativeBase, Session

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.tables import task
from cadasta.workertoolbox.monitor import Monitor, upgrade
from cadasta.workertoolbox.monitor.sources.base import PATIENCE
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import ADMIN, ADMIN_PASSWORD, Postgres
from rig.servers.rabbitmq import RabbitMQ
from rig.servers.sqs import SQS
from rig.servers.started import started

from .table import Row, alternately, show

PREFETCH = 500
#: The consumers that the monitor is compared with.
EACH = f'SQLAlchemy {sa.__version__}, a transaction each'
NOTHING = f'kombu {kombu.__version__}, drained, not stored'


class Base(DeclarativeBase):
    pass


class Task(Base):
    """The Task table, as an object-relational mapper sees it."""

    __table__ = task


def measure(messages: int = 15_000, rounds: int = 3, sqs_messages: int = 500) -> Iterator[Row]:
    """Measure the rows about the monitor and about calls of the SQS API.

    :param messages: messages for each measurement on RabbitMQ
    :param rounds: measurements of each kind; the median counts
    :param sqs_messages: messages for each measurement on SQS
    """
    with ExitStack() as stack:
        postgres = stack.enter_context(started(Postgres()))
        rabbitmq = stack.enter_context(started(RabbitMQ()))
        sqs = stack.enter_context(started(SQS()))
        database = postgres.create_database()
        url = f'postgresql+psycopg2://{ADMIN}:{ADMIN_PASSWORD}@127.0.0.1:{postgres.port}/{database.name}'
        upgrade(url)
        yield from measure_calls(sqs, url, sqs_messages)
        yield from measure_speed(rabbitmq.broker(), url, messages, rounds)


def make_app(broker: Broker) -> Celery:
    app = Celery('benchmark', set_as_current=False)
    app.config_from_object(
        Config(
            QUEUES=['export'], result_backend='db+sqlite://', database_create_tables_at_setup=False, **broker.settings
        )
    )
    return app


def measure_speed(broker: Broker, url: str, messages: int, rounds: int) -> Iterator[Row]:
    app = make_app(broker)
    platform: Queue = app.amqp.queues[PLATFORM_QUEUE]

    def rate(amount: int, run: Callable[[], None], idle: float = 0.0) -> float:
        publish(broker, platform, amount)
        start = time.perf_counter()
        run()
        return amount / (time.perf_counter() - start - idle)

    few = messages // 10
    rates = alternately(
        {
            # At the end, the consumer waits to see that the queue is empty.
            'ours': lambda: rate(messages, lambda: Monitor(app, url, once=True).run(), PATIENCE),
            'each': lambda: rate(few, lambda: consume(broker, platform, few, store_each(url))),
            'nothing': lambda: rate(messages, lambda: consume(broker, platform, messages, lambda message: None)),
        },
        rounds,
    )
    for other, theirs, target in (('each', EACH, 'at least 4'), ('nothing', NOTHING, 'at least 0.7')):
        yield Row(
            'track, RabbitMQ and PostgreSQL',
            f'{rates["ours"]:.0f}/s',
            f'{rates[other]:.0f}/s {theirs}',
            rates['ours'] / rates[other],
            target,
        )


def publish(broker: Broker, queue: Queue, amount: int) -> None:
    app = Celery(set_as_current=False)
    with broker.connect() as connection, connection.Producer() as producer:
        queue(connection.default_channel).declare()
        for number in range(amount):
            message = app.amqp.as_task_v2(
                f'{time.time_ns()}-{number}', 'export.project', args=(number, 'Zürich'), kwargs={'layers': [1, 2, 3]}
            )
            producer.publish(
                message.body,
                exchange=queue.exchange,
                routing_key='export',
                headers=message.headers,
                serializer='json',
                **message.properties,
            )


def consume(broker: Broker, queue: Queue, amount: int, store: Callable[[Any], None]) -> None:
    left = count(amount - 1, -1)

    def on_message(message: Any) -> None:
        nonlocal done
        store(message)
        message.ack()
        done = next(left) == 0

    done = False
    with (
        broker.connect() as connection,
        connection.Consumer(queue, on_message=on_message, prefetch_count=PREFETCH, accept=['json']),
    ):
        while not done:
            connection.drain_events(timeout=10)


def store_each(url: str) -> Callable[[Any], None]:
    engine = sa.create_engine(url)

    def store(message: Any) -> None:
        args, kwargs, _ = message.decode()
        headers, now = message.headers, datetime.now(UTC)
        with Session(engine) as session:
            row = session.get(Task, headers['id']) or Task(task_id=headers['id'], first_seen=now)
            row.name, row.args, row.kwargs = headers['task'], args, kwargs
            row.root_id, row.parent_id, row.group_id = headers['root_id'], headers['parent_id'], headers['group']
            row.routing_key, row.eta, row.expires = message.delivery_info['routing_key'], None, None
            row.retries, row.timelimit, row.origin = headers['retries'], headers['timelimit'], headers['origin']
            row.options, row.last_seen = {'lang': headers['lang']}, now
            session.add(row)
            session.commit()

    return store


def measure_calls(server: SQS, url: str, messages: int) -> Iterator[Row]:
    broker = server.broker()
    app = make_app(broker)
    app.send_task('export.project')

    def calls(run: Callable[[], None]) -> float:
        before = sum(server.calls().values())
        run()
        return (sum(server.calls().values()) - before) / messages

    def send() -> None:
        for number in range(messages):
            app.send_task('export.project', (number,))

    published = calls(send)
    tracked = calls(lambda: Monitor(app, url, once=True, linger=1).run())
    send()
    one_by_one = calls(lambda: consume(broker, app.amqp.queues[PLATFORM_QUEUE], messages, store_each(url)))
    yield Row(
        'SQS API calls for each task published, steady state',
        f'{published:g}',
        '1 for each queue',
        published,
        'at most 2',
    )
    yield Row(
        'SQS API calls for each task tracked, backlog',
        f'{tracked:g}',
        f'{one_by_one:g} {EACH}',
        tracked,
        'at most 0.25',
    )


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=15_000, help='messages for each measurement on RabbitMQ')
    parser.add_argument('--rounds', type=int, default=3, help='measurements of each kind; the median counts')
    parser.add_argument('--sqs-messages', type=int, default=500, help='messages for each measurement on SQS')
    sys.exit(not show(measure(**vars(parser.parse_args()))))
