"""How fast the task monitor is, and how many calls of the SQS API it takes: `python -m benchmarks.monitor`.

It starts servers of its own: RabbitMQ, PostgreSQL, and SQS as moto plays it. The same stream of messages is drained by
the monitor, by a consumer that stores each message in a transaction of its own, and by one that stores nothing.
"""
from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import sqlalchemy as sa
from celery import Celery
from kombu import Queue
from sqlalchemy.orm import DeclarativeBase, Session

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import Monitor, upgrade
from cadasta.workertoolbox.monitor.tables import task
from tests.servers.broker import PLATFORM_QUEUE, Broker
from tests.servers.postgres import ADMIN, ADMIN_PASSWORD, Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.sqs import SQS

PREFETCH = 500


class Base(DeclarativeBase):
    pass


class Task(Base):
    """The Task table, as an object-relational mapper sees it."""

    __table__ = task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=15_000, help='messages for each measurement on RabbitMQ')
    parser.add_argument('--rounds', type=int, default=3, help='measurements of each kind; the median counts')
    parser.add_argument('--sqs-messages', type=int, default=500, help='messages for each measurement on SQS')
    options = parser.parse_args()
    postgres, rabbitmq, sqs = Postgres(), RabbitMQ(), SQS()
    try:
        postgres.start()
        rabbitmq.start()
        rabbitmq.wait_until_ready()
        sqs.wait_until_ready()
        database = postgres.create_database()
        url = f'postgresql+psycopg2://{ADMIN}:{ADMIN_PASSWORD}@127.0.0.1:{postgres.port}/{database.name}'
        upgrade(url)
        measure_speed(rabbitmq.broker(), url, options.messages, options.rounds)
        measure_calls(sqs, url, options.sqs_messages)
    finally:
        for server in (sqs, rabbitmq, postgres):
            server.close()


def make_app(broker: Broker) -> Celery:
    app = Celery('benchmark', set_as_current=False)
    app.config_from_object(Config(
        QUEUES=['export'], result_backend='db+sqlite://', database_create_tables_at_setup=False, **broker.settings))
    return app


def measure_speed(broker: Broker, url: str, messages: int, rounds: int) -> None:
    app = make_app(broker)
    platform: Queue = app.amqp.queues[PLATFORM_QUEUE]
    ways: dict[str, Callable[[], None]] = {
        'monitor': lambda: Monitor(app, url, once=True).run(),
        'one transaction a message': lambda: consume(broker, platform, messages // 10, store_each(url)),
        'nothing stored': lambda: consume(broker, platform, messages, lambda message: None),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        # What runs first would gain or lose by it.
        for way in sorted(ways, key=lambda way: (list(ways).index(way) + number) % len(ways)):
            amount = messages // 10 if way == 'one transaction a message' else messages
            publish(broker, platform, amount)
            rates[way].append(amount / seconds(ways[way], idle=1.0 if way == 'monitor' else 0.0))
    medians = {way: statistics.median(values) for way, values in rates.items()}
    print('Tasks a second, RabbitMQ and PostgreSQL')
    for way, rate in medians.items():
        print(f'  {way:<28}{rate:>9.0f}    ratio of the monitor to it {medians["monitor"] / rate:5.2f}')
    print('  targets: at least 4 to one transaction a message, at least 0.7 to nothing stored')


def seconds(run: Callable[[], None], idle: float) -> float:
    """How long it took, without the time for which the monitor waits to see that the queue is empty."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start - idle


def publish(broker: Broker, queue: Queue, amount: int) -> None:
    app = Celery(set_as_current=False)
    with broker.connect() as connection, connection.Producer() as producer:
        queue(connection.default_channel).declare()
        for number in range(amount):
            message = app.amqp.as_task_v2(
                f'{time.time_ns()}-{number}', 'export.project', args=(number, 'Zürich'), kwargs={'layers': [1, 2, 3]})
            producer.publish(
                message.body, exchange=queue.exchange, routing_key='export', headers=message.headers,
                serializer='json', **message.properties)


def consume(broker: Broker, queue: Queue, amount: int, store: Callable[[Any], None]) -> None:
    left = count(amount - 1, -1)

    def on_message(message: Any) -> None:
        nonlocal done
        store(message)
        message.ack()
        done = next(left) == 0

    done = False
    with broker.connect() as connection, \
            connection.Consumer(queue, on_message=on_message, prefetch_count=PREFETCH, accept=['json']):
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


def measure_calls(server: SQS, url: str, messages: int) -> None:
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
    print('Calls of the SQS API for each task')
    print(f'  published, steady state     {published:9.2f}    target 2')
    print(f'  tracked, by the monitor     {tracked:9.2f}    target at most 0.25')
    print(f'  tracked, one by one         {one_by_one:9.2f}    ratio of the monitor to it {tracked / one_by_one:5.2f}')


if __name__ == '__main__':
    main()
