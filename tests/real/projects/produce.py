"""A producer: `python produce.py PROJECT STAGE`. It never sets anything up; it only sends tasks."""
from __future__ import annotations

import sys
import threading
from importlib import import_module
from typing import Any

from celery import Celery, chain, chord, group

THREADS = 4


def flood(tasks: Any, count: int) -> None:
    """Sends `count` tasks from several threads that begin at the same moment."""
    start = threading.Barrier(THREADS)

    def send() -> None:
        start.wait()
        for number in range(count // THREADS):
            tasks.add.delay(number, number)

    threads = [threading.Thread(target=send) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def flood_200(tasks: Any) -> None:
    flood(tasks, 200)


def interrupted(tasks: Any) -> None:
    """Sends 100 tasks, says so, and sends 100 more when it is told that its connections are gone."""
    flood(tasks, 100)
    print('half', flush=True)
    if sys.stdin.readline() == 'close\n':
        close_connections(tasks.app)
    flood(tasks, 100)


def close_connections(app: Celery) -> None:
    """For brokers without a server that could do it."""
    connections = [app.pool.acquire() for _ in range(THREADS)]
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


def gated(tasks: Any) -> None:
    """`python produce.py PROJECT gated COUNT GATE DONE`: the arguments are those of `finish_after`."""
    count, gate, done = sys.argv[3:]
    for _ in range(int(count)):
        tasks.finish_after.delay(gate, done)


if __name__ == '__main__':
    globals()[sys.argv[2]](import_module(f'{sys.argv[1]}.tasks'))
