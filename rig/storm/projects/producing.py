"""A producer: `python producing.py SEED SECONDS WORKFLOWS`. It sends this number of workflows in these seconds.

The seed decides the workflows that it sends, and their order.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from celery import Celery, chain, chord, group
from kombu.exceptions import OperationalError
from notes import note, noted_batch, noted_outbox
from service import make_app
from sqlalchemy.exc import DBAPIError

THREADS = 3
# A connection of a pool would be broken whenever PostgreSQL has restarted.
_ENGINE = sa.create_engine(os.environ['TOOLBOX_DATABASE'], poolclass=sa.NullPool)
#: The seconds that a task takes whose worker has to renew its lease.
LONG = float(os.environ['LEASE']) * 1.5

# Each function sends a workflow. It returns the ids of the tasks that must end, with the state that they must end in.
Promises = dict[str, str]


def all_succeed(*results: Any) -> Promises:
    return {result.id: 'SUCCESS' for result in results}


def plain(app: Celery, chance: random.Random) -> Promises:
    seconds = LONG if chance.random() < 0.4 else chance.choice([0, 0.01, 0.5])
    return all_succeed(app.send_task('export.add', (1, 2, seconds)))


def retried(app: Celery, chance: random.Random) -> Promises:
    return all_succeed(app.send_task('export.flaky', (chance.randint(1, 3),)))


def chained(app: Celery, chance: random.Random) -> Promises:
    last = chain(
        app.signature('export.add', (1, 2)),
        app.signature('export.add', (3, chance.uniform(0, 0.1))),
        app.signature('msg.notify'),
    ).delay()
    return all_succeed(last.parent.parent, last.parent, last)


def grouped(app: Celery, chance: random.Random) -> Promises:
    size = chance.randint(2, 5)
    members = group(app.signature('export.add', (number, 1, chance.uniform(0, 2))) for number in range(size))
    return all_succeed(*members.delay().results)


def with_a_chord(app: Celery, chance: random.Random) -> Promises:
    """The body of this chord is in another queue than its header."""
    header = [app.signature('export.add', (number, 1, chance.uniform(0, 2))) for number in range(chance.randint(2, 4))]
    body = chord([*header, app.signature('export.flaky', (1,))], app.signature('msg.total')).delay()
    note('chord', body=body.id)
    return all_succeed(*body.parent.results, body)


def with_a_chord_that_fails(app: Celery, chance: random.Random) -> Promises:
    body = chord(
        [app.signature('export.add', (1, 2)), app.signature('export.fail')], app.signature('msg.total')
    ).delay()
    good, bad = body.parent.results
    return {good.id: 'SUCCESS', bad.id: 'FAILURE', body.id: 'FAILURE'}


def with_errbacks(app: Celery, chance: random.Random) -> Promises:
    """The worker has the code of only one of the errbacks."""
    errbacks = [app.signature(name).set(task_id=str(uuid4())) for name in ('export.regret', 'msg.notify')]
    failing = app.send_task('export.fail', link_error=errbacks)
    return {failing.id: 'FAILURE', **all_succeed(*errbacks)}


def replaced(app: Celery, chance: random.Random) -> Promises:
    return all_succeed(app.send_task('export.replaced', ([1, 2],)))


def handing_on(app: Celery, chance: random.Random) -> Promises:
    followup = app.signature('msg.notify').set(task_id=str(uuid4()))
    return all_succeed(app.send_task('export.archive', link=[followup]), followup)


Workflow = Callable[[Celery, random.Random], Promises]

ALONE: list[Workflow] = [
    plain,
    retried,
    chained,
    grouped,
    with_a_chord,
    with_a_chord_that_fails,
    with_errbacks,
    replaced,
    handing_on,
]


def in_a_batch(app: Celery, chance: random.Random) -> Promises:
    """Workflows of other kinds, and many small tasks. A producer may be killed before all of them are sent."""
    promises: Promises = {}
    with noted_batch(app):
        for workflow in chance.sample(ALONE, 2):
            promises |= workflow(app, chance)
        promises |= all_succeed(*(app.send_task('export.add', (number, 1)) for number in range(chance.randint(4, 12))))
        time.sleep(chance.uniform(0, 1))
    return promises


def in_an_outbox(app: Celery, chance: random.Random) -> Promises:
    """Workflows of other kinds, in a transaction each, one of which is rolled back.

    A producer may be killed, or lose its database, within one.
    """
    promises: Promises = {}
    workflows = chance.sample(ALONE, 3)
    rolled_back = chance.choice(workflows)
    for workflow in workflows:
        with _ENGINE.connect() as connection, connection.begin() as transaction:
            with noted_outbox(app, connection):
                promised = workflow(app, chance)
                time.sleep(chance.uniform(0, 0.5))
            if workflow is rolled_back:
                transaction.rollback()
            else:
                promises |= promised
    return promises


WORKFLOWS: list[Workflow] = [*ALONE, in_a_batch, in_an_outbox]


def send(app: Celery, chance: random.Random, seconds: float, workflows: int) -> None:
    begun = time.monotonic()
    bag: list[Workflow] = []
    for number in range(workflows):
        time.sleep(max(0, begun + number * seconds / workflows - time.monotonic()))
        bag = bag or chance.sample(WORKFLOWS, len(WORKFLOWS))
        workflow = bag.pop()
        # A producer that loses one connection too many gets an error. It then knows that its message may have arrived
        # or not, or that its transaction may be committed or not.
        try:
            promises = workflow(app, chance)
        except (OperationalError, DBAPIError):
            note('refused', workflow=workflow.__name__)
        else:
            note('promised', workflow=workflow.__name__, promises=promises)


def send_from_threads(app: Celery, seed: str, seconds: float, workflows: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        sendings = [
            pool.submit(send, app, random.Random(f'{seed} {number}'), seconds, workflows // THREADS)
            for number in range(THREADS)
        ]
    for sending in sendings:
        sending.result()


if __name__ == '__main__':
    seed, seconds, workflows = sys.argv[1:]
    send_from_threads(make_app('producing'), seed, float(seconds), int(workflows))
