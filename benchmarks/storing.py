"""How many states of tasks a prefork child stores, beside Celery's own backend: `python -m benchmarks.storing`."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from typing import Any

import sqlalchemy
from celery import Celery
from celery import __version__ as celery_version
from celery.app.task import Context
from celery.backends.database import DatabaseBackend

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.results import identity
from rig.monitor.databases import url_of
from rig.servers.postgres import Postgres
from rig.servers.started import started

from .table import Row, alternately, show

PROCESSES = 4
SECONDS = 2.0


def measure(rounds: int = 5) -> Iterator[Row]:
    """Measure the rows about storing."""
    identity.take_name('benchmark@here')
    with started(Postgres()) as postgres:
        database = postgres.create_database()
        upgrade(url_of(database), worker_role=database.role)
        url = url_of(database, database.role, database.password)
        ways: dict[str, Callable[[], float]] = {
            name: partial(rate, make, url) for name, make in (('ours', ours), ('celery', celerys))
        }
        rates = alternately(ways, rounds)
        statements = {make.__name__: count(make, url) for make in (ours, celerys)}
    yield Row(
        f'states stored, {PROCESSES} processes, PostgreSQL',
        f'{rates["ours"]:.0f}/s',
        f'{rates["celery"]:.0f}/s Celery {celery_version}, as a prefork child',
        rates['ours'] / rates['celery'],
        'at least 3',
    )
    yield Row(
        'statements for a task that starts and succeeds',
        str(statements['ours']),
        f'{statements["celerys"]} Celery {celery_version}',
        statements['ours'],
        'at most 2',
    )


def ours(url: str) -> Any:
    app = Celery('ours', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', result_backend=f'db+{url}'))
    return app.backend


def celerys(url: str) -> Any:
    """Celery's backend, with the pool of connections that it has in a child that was forked."""
    app = Celery('plain', broker='memory://', set_as_current=False)
    backend = DatabaseBackend(app=app, url=url)
    backend.session_manager.forked = True
    return backend


def run_one(backend: Any) -> None:
    request = Context(id=str(uuid.uuid4()), delivery_info={}, called_directly=False)
    backend.store_result(request.id, {'pid': 1, 'hostname': 'here'}, 'STARTED', request=request)
    backend.store_result(request.id, 'exports/42.zip', 'SUCCESS', request=request)


def rate(make: Callable[[str], Any], url: str) -> float:
    """Tell how many states some processes store in a second."""
    with get_context('fork').Pool(PROCESSES) as pool:
        return sum(pool.map(partial(_rate, make, url), range(PROCESSES), chunksize=1))


def _rate(make: Callable[[str], Any], url: str, number: int) -> float:
    backend = make(url)
    run_one(backend)
    tasks, start = 0, time.perf_counter()
    while time.perf_counter() < start + SECONDS:
        run_one(backend)
        tasks += 1
    return 2 * tasks / (time.perf_counter() - start)


def count(make: Callable[[str], Any], url: str) -> int:
    """Count the statements of a task, with those that begin and end transactions, where there are any."""
    backend = make(url)
    run_one(backend)
    statements = 0

    def note(connection: Any, cursor: Any = None, *arguments: Any) -> None:
        nonlocal statements
        # In autocommit mode, the driver sends nothing to begin or to commit.
        statements += cursor is None and connection.connection.dbapi_connection.autocommit is False
        statements += cursor is not None

    for event in ('before_cursor_execute', 'begin', 'commit'):
        sqlalchemy.event.listen(sqlalchemy.Engine, event, note)
    try:
        run_one(backend)
    finally:
        for event in ('before_cursor_execute', 'begin', 'commit'):
            sqlalchemy.event.remove(sqlalchemy.Engine, event, note)
    return statements


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=5, help='measurements of each kind; the median counts')
    sys.exit(not show(measure(parser.parse_args().rounds)))
