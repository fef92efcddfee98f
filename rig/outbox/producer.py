"""Writes orders and their tasks in transactions, in one child after the other. Each is killed at a random moment.

Run as a program with the URL of the database and the number of kills. It prints a line for each kill, with what the
child had done last.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import sys
import time
from itertools import count
from uuid import uuid4

import sqlalchemy as sa

from cadasta.workertoolbox import outbox
from rig.outbox.shop import app

#: What a child does last, in this order.
MOMENTS = ('start', 'begun', 'ordered', 'sending', 'sent', 'committing', 'committed', 'rolling back', 'rolled back')
#: A child is killed in a random transaction, or soon after it, and in this one at the latest. So the number of tasks
#: hardly depends on the speed of the machine, and a worker can run them all in the time that a test has.
MOST = 10
#: It is killed at the latest so many seconds later.
LONGEST = 0.01
_ORDER = sa.text('INSERT INTO orders VALUES (:name, :tasks)')


def write_orders(url: str, moment: mmap.mmap, chance: random.Random) -> None:
    """Write orders until the end. Of four transactions, one is rolled back.

    :param moment: one byte for what was done last, and one for the number of the transaction
    """

    def note(name: str) -> None:
        moment[0] = MOMENTS.index(name)

    with sa.create_engine(url).connect() as connection:
        for transaction in count(1):
            moment[1] = transaction
            name, tasks = uuid4().hex, chance.randint(1, 3)
            connection.begin()
            note('begun')
            connection.execute(_ORDER, {'name': name, 'tasks': tasks})
            note('ordered')
            with outbox(app, connection):
                for number in range(tasks):
                    note('sending')
                    app.send_task('export.order', task_id=f'{name}-{number}')
            note('sent')
            if chance.random() < 0.25:
                note('rolling back')
                connection.rollback()
                note('rolled back')
            else:
                note('committing')
                connection.commit()
                note('committed')


def warm_up(url: str) -> None:
    """Do once what takes long only once, and roll it back."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection, outbox(app, connection):
        app.send_task('export.order')


def kill_one(url: str, chance: random.Random) -> str:
    """Let a child write orders, and kill it. The database may be away for a while, and end it before."""
    seed, most = chance.random(), chance.randint(1, MOST)
    while True:
        moment = mmap.mmap(-1, 2)
        child = os.fork()
        if not child:
            try:
                write_orders(url, moment, random.Random(seed))
            finally:
                moment[1] = MOST
                os._exit(1)
        while moment[1] < most:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, LONGEST))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if moment[0]:
            return MOMENTS[moment[0]]


if __name__ == '__main__':
    warm_up(sys.argv[1])
    chances = random.Random(7)
    for _ in range(int(sys.argv[2])):
        print('killed:', kill_one(sys.argv[1], chances), flush=True)
