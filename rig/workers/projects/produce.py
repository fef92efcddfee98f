"""A producer: `python produce.py PROJECT STAGE ARGUMENT...`. It sets nothing up, and only sends tasks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from celery import Celery, chain, chord, group
from celery.exceptions import QueueNotFound
from kombu.exceptions import OperationalError

THREADS = 8
CONNECTIONS = 4


def in_threads(send: Callable[[int], None]) -> None:
    """Calls `send` with its number from each of several threads that begin at the same moment."""
    start = threading.Barrier(THREADS)

    def begin(thread: int) -> None:
        start.wait()
        send(thread)

    threads = [threading.Thread(target=begin, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def flood(tasks: Any, count: str) -> None:
    """Sends `count` tasks."""

    def send(thread: int) -> None:
        for number in range(thread, int(count), THREADS):
            tasks.add.delay(number, number)

    in_threads(send)


def until_told(tasks: Any) -> None:
    """Sends tasks until there is a line on stdin. It goes on after an error that a task could not be sent."""
    told = threading.Event()

    def send(thread: int) -> None:
        while not told.is_set():
            try:
                tasks.add.delay(thread, thread)
            except OperationalError:
                print('refused', flush=True)
                time.sleep(0.1)

    def listen() -> None:
        sys.stdin.readline()
        told.set()

    threading.Thread(target=listen).start()
    in_threads(send)


def interrupted(tasks: Any) -> None:
    """Sends 100 tasks, prints that, and sends 100 more when a line on stdin tells that its connections are gone."""
    flood(tasks, '100')
    print('half', flush=True)
    if sys.stdin.readline() == 'close\n':
        close_connections(tasks.app)
    flood(tasks, '100')


def close_connections(app: Celery) -> None:
    """Closes the connections here, for brokers that have no server to do it."""
    connections = [app.pool.acquire(block=True) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.close()
        connection.release()


def workflows(tasks: Any) -> None:
    add, app = tasks.add, tasks.app
    tasks.flaky.delay(2)
    tasks.audit_flaky.delay(1)
    tasks.fail.delay()
    app.tasks['celery.accumulate'].delay(1, 2)
    chain(add.s(1, 2), add.s(3), app.signature('report.tasks.total', ([4],), immutable=True)).delay()
    group(add.s(number, number) for number in range(5)).delay()
    chord([add.s(number, number) for number in range(4)], app.signature('report.tasks.total')).delay()


def gated(tasks: Any, count: str, gate: str, done: str) -> None:
    """Sends `count` tasks that finish when the file `gate` is there."""
    for _ in range(int(count)):
        tasks.finish_after.delay(gate, done)


def mortal(tasks: Any, died: str) -> None:
    tasks.die_once.delay(died)


def held(tasks: Any, *queues: str) -> None:
    """Sends tasks that a worker holds for longer than a visibility timeout of four seconds. Some wait and some run.

    A queue is given as `NAME=COUNT`: so many of its tasks only wait for others.
    """
    for name, _, count in (queue.partition('=') for queue in queues):
        for acks in ('early', 'late'):
            tasks.BUSY[acks].apply_async((0,), countdown=12, queue=name)
            tasks.BUSY[acks].apply_async((11,), queue=name)
            tasks.INSIST[acks].apply_async(queue=name)
            for _ in range(int(count)):
                tasks.BUSY[acks].apply_async((3,), queue=name)


def taken(tasks: Any) -> None:
    """Sends tasks for a worker with one process: one that it runs, one that waits for its time, and four others."""
    # A busy machine takes seconds to kill its worker.
    tasks.BUSY['late'].apply_async((10,), queue='prefork')
    tasks.BUSY['late'].apply_async((0,), queue='prefork', countdown=9)
    for _ in range(4):
        tasks.BUSY['late'].apply_async((0,), queue='prefork')


def copied(tasks: Any, ids: str, copies: str) -> None:
    """Sends so many messages of each of some ids."""
    for number in range(int(ids)):
        for _ in range(int(copies)):
            tasks.watched.apply_async((0.1,), task_id=f'id-{number}', queue='prefork')


def watched(tasks: Any, *seconds: str) -> None:
    """Sends a task for each number of seconds that it takes."""
    for one in seconds:
        tasks.watched.apply_async((float(one),), queue='prefork')


def routed(tasks: Any, kind: str) -> None:
    """Sends each task of a kind, `OWN` or `BESIDE`, with and without the name of a queue."""
    for task in getattr(tasks, kind):
        task.delay()
        task.apply_async(queue='urgent')


def unsendable(tasks: Any) -> None:
    """Tries to send chords with a task in the header that no queue serves."""
    app = tasks.app
    step, bad = app.signature('export.step'), app.signature('nosuch.task')
    for header in ([bad], [bad, step], [step, bad], [step, chord([step, bad], step)]):
        try:
            chord(header, app.signature('export.body'), app=app).delay()
        except QueueNotFound as error:
            print(error.args[0])


if __name__ == '__main__':
    project, stage, *arguments = sys.argv[1:]
    tasks = import_module(f'{project}.tasks')
    tasks.app.conf.broker_pool_limit = CONNECTIONS
    globals()[stage](tasks, *arguments)
