"""Whatever is stored as a result, its reader gets a value or an ordinary exception, and runs and imports nothing."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from celery import Celery
from celery.exceptions import TaskPredicate

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.connection import engine
from cadasta.workertoolbox.monitor import upgrade
from cadasta.workertoolbox.results.backend import Backend

from ..ui.seed import results

#: The parts of an input are a state by its first byte, then a result, its children and a traceback, with this between.
BETWEEN = b'\xff'
STATES = ('SUCCESS', 'FAILURE', 'RETRY', 'REVOKED', 'STARTED', 'PENDING', 'PROGRESS')


class Bomb:
    def __reduce__(self) -> Any:
        return exec, ('raise SystemExit("unpickled")',)


def failure(module: Any, name: Any, message: Any = ('text',), **more: Any) -> bytes:
    return json.dumps({'exc_module': module, 'exc_type': name, 'exc_message': message, **more}).encode()


def seeds() -> Iterator[bytes]:
    """Give results as workers store them, and as an attacker would."""
    for number, result in enumerate(
        [
            b'{"path": "/exports/7.zip"}',
            failure('builtins', 'ValueError'),
            failure('celery.exceptions', 'Retry'),
            failure('celery.exceptions', 'Reject', ['text', True]),
            failure('builtins', 'SystemExit'),
            failure('os', 'mkdir', 'x'),
            failure('antigravity', 'webbrowser'),
            failure(['os'], {}, exc_cause=failure('builtins', 'KeyError').decode()),
            b'[]',
            b'null',
        ]
    ):
        for state in (number, 1):
            children = b'[[["child", null], [[["grandchild", null], null]]]]'
            yield bytes([state % len(STATES)]) + BETWEEN.join([result, children, b'Traceback'])
    yield b'\x01' + pickle.dumps(Bomb(), 0)


@contextmanager
def target() -> Iterator[Callable[[bytes], None]]:
    """Make a database, and give the function that takes an input."""
    with TemporaryDirectory() as directory:
        url = f'sqlite:///{Path(directory)}/results.db'
        upgrade(url, allow_pickle=True)
        app = Celery('fuzzed', set_as_current=False)
        app.config_from_object(Config(broker_url='memory://', result_backend=f'db+{url}'))
        # A search sees what it reaches in modules that are imported above. The first read loads what Celery needs.
        assert isinstance(app.backend, Backend)
        assert app.AsyncResult('1').state == 'PENDING'
        with engine(url).connect() as connection:
            yield partial(check, app, connection)


def check(app: Celery, connection: sa.Connection, data: bytes) -> None:
    first, rest = data[:1] or b'\0', data[1:]
    result, children, traceback, *_ = [*rest.split(BETWEEN, 2), b'', b'']
    state = STATES[first[0] % len(STATES)]
    row = {'id': 1, 'task_id': '1', 'status': state, 'result': result or None, 'children': children or None}
    connection.execute(sa.delete(results))
    connection.execute(sa.insert(results).values(**row, traceback=traceback.decode('utf-8', 'replace')))
    connection.commit()
    before = set(sys.modules)
    read = app.AsyncResult('1')
    assert read.state in STATES
    assert isinstance(read.children or [], list)
    found = read.result
    assert not isinstance(found, BaseException) or isinstance(found, Exception)
    assert not isinstance(found, TaskPredicate | MemoryError)
    if read.ready():
        assert read.get(timeout=1, propagate=False) is not NotImplemented
    assert sys.modules.keys() == before
