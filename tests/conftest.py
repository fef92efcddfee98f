"""The servers, brokers and processes that tests ask for by name."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import celery._state
import pytest
from celery import signals

from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.broker import Broker
from rig.servers.environment import is_foreign
from rig.servers.filesystem import FilesystemBroker
from rig.servers.memory import MemoryBroker
from rig.servers.postgres import Database, Postgres
from rig.servers.process import Processes
from rig.servers.rabbitmq import RabbitMQ
from rig.servers.redis import Redis
from rig.servers.sqs import SQS
from rig.servers.started import started

pytest_plugins = ['tests.fast', 'tests.missing', 'tests.unmeasured']

BROKERS = ('memory', 'filesystem', 'redis', 'amqp', 'sqs')


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line('markers', 'slow: takes long, or is in a file that does')
    # By default pytest would end without a teardown, and the servers would outlive it.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit('terminated'))
    # A script that starts pytest in its background makes it ignore the signal, and so would all that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long begin first, so that none of them is still at work when all others are done."""
    slow = {item.path for item in items if item.get_closest_marker('slow') or item.get_closest_marker('timeout')}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Python does not look for garbage among thousands of tests and modules, which stay: that would take seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope='session')
def clean_process_environment() -> Iterator[None]:
    """The tests do not see what the caller's environment says about real systems."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in list(os.environ):
            if is_foreign(name):
                monkeypatch.delenv(name)
        yield


@contextmanager
def forgetting_tasks() -> Iterator[None]:
    """Celery would register the tasks of one app in every app that is made after it."""
    finalizers = set(celery._state._on_app_finalizers)
    yield
    celery._state._on_app_finalizers.intersection_update(finalizers)


@contextmanager
def leaving_logging() -> Iterator[None]:
    """A worker that a test runs in its own process changes no logger: they are those of the tests that come after."""

    def leave(**_: Any) -> None:
        """Take the place of Celery's own set-up."""

    signals.setup_logging.connect(leave)
    yield
    signals.setup_logging.disconnect(leave)


@pytest.fixture(autouse=True, scope='module')
def tasks_of_no_other_module() -> Iterator[None]:
    with forgetting_tasks():
        yield


@pytest.fixture(autouse=True)
def tasks_of_no_other_test() -> Iterator[None]:
    with forgetting_tasks():
        yield


@pytest.fixture(scope='session')
def postgres() -> Iterator[Postgres]:
    with started(Postgres()) as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> Database:
    """A fresh database with Celery's result tables and a worker role."""
    return postgres.create_database()


@pytest.fixture
def upgraded(postgres: Postgres) -> Database:
    """A fresh database with all tables and a worker role."""
    return postgres.create_database(is_upgraded=True)


@pytest.fixture
def postgresql(upgraded: Database) -> TaskDatabase:
    """A PostgreSQL database."""
    return TaskDatabase(url_of(upgraded), is_upgraded=True)


@pytest.fixture(params=['postgresql', 'sqlite'])
def tasks(request: pytest.FixtureRequest, tmp_path: Path) -> TaskDatabase:
    """A PostgreSQL database, then a SQLite database."""
    if request.param == 'sqlite':
        return TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    database: TaskDatabase = request.getfixturevalue('postgresql')
    return database


@pytest.fixture(scope='session')
def sqs_server() -> Iterator[SQS]:
    with started(SQS()) as server:
        yield server


@pytest.fixture(scope='session')
def redis_server() -> Iterator[Redis]:
    with started(Redis()) as server:
        yield server


@pytest.fixture(scope='session')
def rabbitmq_server() -> Iterator[RabbitMQ]:
    with started(RabbitMQ()) as server:
        yield server


def make_broker(name: str, request: pytest.FixtureRequest, directory: Path) -> Broker:
    """A fresh broker; only the server that it needs is started."""
    if name == 'memory':
        return MemoryBroker()
    if name == 'filesystem':
        return FilesystemBroker(directory)
    server = request.getfixturevalue({'redis': 'redis_server', 'amqp': 'rabbitmq_server', 'sqs': 'sqs_server'}[name])
    return server.broker()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Each of the five brokers in turn, with nothing declared in it.

    `@pytest.mark.parametrize('broker', ['sqs'], indirect=True)` asks for one of them.
    """
    broker = make_broker(request.param, request, tmp_path)
    yield broker
    broker.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes; they are stopped at the end of the test."""
    with Processes(tmp_path) as processes:
        yield processes
