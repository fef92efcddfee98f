"""Tasks that finish while their results cannot be stored."""

from __future__ import annotations

import time

from ..servers.process import Process, wait_until
from .services import READY, Services


def finish_in_outage(services: Services, tasks: int, seconds: float) -> Process:
    """Stops PostgreSQL while all tasks run, and starts it when they have finished.

    :param services: the platform
    :param tasks: the number of tasks
    :param seconds: the seconds for which PostgreSQL is away
    :returns: the worker, which still runs
    """
    gate, done = services.processes.logs / 'gate', services.processes.logs / 'done'
    done.mkdir()
    database = services.database
    worker = services.start_worker('export', '-c', str(tasks), '-Q', 'export')
    worker.wait_for(READY)
    services.produce('export', 'gated', str(tasks), str(gate), str(done))
    wait_until(lambda: list(database.states().values()) == ['STARTED'] * tasks, 'all tasks to be started')

    database.server.stop()
    try:
        stopped = time.monotonic()
        gate.touch()
        wait_until(lambda: len(list(done.iterdir())) == tasks, 'all tasks to finish')
        time.sleep(max(0, seconds - (time.monotonic() - stopped)))
    finally:
        database.server.start()
    return worker
