"""Measure what a batch saves: calls of the SQS API, and time on each broker: `python -m benchmarks.batches`.

It starts servers of its own: moto's SQS, RabbitMQ, and Redis.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

from celery import Celery
from celery import __version__ as celery_version

from cadasta.workertoolbox import batch
from rig.servers.broker import Broker
from rig.servers.rabbitmq import RabbitMQ
from rig.servers.redis import Redis
from rig.servers.sqs import SQS
from rig.servers.started import started

from .monitor import make_app
from .table import Row, alternately, show

ONE_BY_ONE = f'Celery {celery_version}, one by one'


def measure(tasks: int = 10_000, alone: int = 500, rounds: int = 3) -> Iterator[Row]:
    """Measure the rows about batches.

    :param tasks: the tasks of a batch
    :param alone: the tasks that are published one by one. Their time is multiplied, to compare the same number
    :param rounds: measurements of each kind on RabbitMQ and Redis; the median counts
    """
    with started(SQS()) as sqs:
        calls = [0.0, 0.0]

        def counted(place: int, publish: Callable[[Celery, int], None]) -> Callable[[Celery, int], None]:
            def run(app: Celery, amount: int) -> None:
                before = sum(sqs.calls().values())
                publish(app, amount)
                calls[place] = (sum(sqs.calls().values()) - before) / amount

            return run

        speed = compared(
            'Amazon SQS (moto)', sqs.broker(), tasks, alone, 1, counted(0, together), counted(1, one_by_one)
        )
        yield Row(
            'SQS API calls for each task of a batch',
            f'{calls[0]:g}',
            f'{calls[1]:g} {ONE_BY_ONE}',
            calls[0],
            'at most 0.21',
        )
        yield speed
    with started(RabbitMQ()) as rabbitmq:
        yield compared('RabbitMQ', rabbitmq.broker(), tasks, alone, rounds)
    with started(Redis()) as redis:
        yield compared('Redis', redis.broker(), tasks, alone, rounds)


def together(app: Celery, amount: int) -> None:
    with batch(app):
        one_by_one(app, amount)


def one_by_one(app: Celery, amount: int) -> None:
    for number in range(amount):
        app.send_task('export.project', (number,))


def compared(
    name: str,
    broker: Broker,
    tasks: int,
    alone: int,
    rounds: int,
    ours: Callable[[Celery, int], None] = together,
    theirs: Callable[[Celery, int], None] = one_by_one,
) -> Row:
    app = make_app(broker)
    app.send_task('export.project')

    def rate(publish: Callable[[Celery, int], None], amount: int) -> float:
        start = time.perf_counter()
        publish(app, amount)
        return amount / (time.perf_counter() - start)

    rates = alternately({'ours': lambda: rate(ours, tasks), 'theirs': lambda: rate(theirs, alone)}, rounds)
    return Row(
        f'publish {tasks:,} in a batch, {name}',
        f'{tasks / rates["ours"]:.1f} s',
        f'{tasks / rates["theirs"]:.1f} s {ONE_BY_ONE}',
        rates['ours'] / rates['theirs'],
        'at least 1',
    )


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tasks', type=int, default=10_000, help='tasks of a batch')
    parser.add_argument('--alone', type=int, default=500, help='tasks that are published one by one')
    parser.add_argument('--rounds', type=int, default=3, help='measurements on RabbitMQ and Redis; the median counts')
    sys.exit(not show(measure(**vars(parser.parse_args()))))
