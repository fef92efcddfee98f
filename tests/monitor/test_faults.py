"""Whatever fails, and whenever: each scheduled task is stored once, with its last retry, and no task runs twice.

`FULL_FAULTS=1` makes the tests larger: 2,000 tasks and 50 kills.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.monitor.databases import TaskDatabase
from rig.monitor.producer import BATCH, Producer, expect_kills, kill_while_it_stores
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.postgres import Database
from rig.servers.process import Process, Processes, free_port
from rig.servers.programs import find_program
from rig.servers.rabbitmq import RabbitMQ

from ..conftest import make_broker
from .test_streams import make_app

FULL = 'FULL_FAULTS' in os.environ
TASKS = 2000 if FULL else 150
KILLS = 50 if FULL else 2
PATIENCE = 240 if FULL else 90

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 if FULL else 240)]
brokers = pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    broker = make_broker(request.param, request, tmp_path)
    expect_kills(broker)
    yield broker
    broker.close()


@pytest.fixture
def toolbox(tmp_path: Path, processes: Processes, broker: Broker, postgresql: TaskDatabase) -> Toolbox:
    return Toolbox(tmp_path, processes, broker, postgresql.url)


@pytest.fixture
def producer(broker: Broker) -> Producer:
    return Producer(make_app(broker))


def check(producer: Producer, tasks: TaskDatabase, broker: Broker) -> None:
    stored = tasks.retries()
    assert len(stored) == len(producer.retries)
    assert stored == producer.retries
    assert tasks.rejected() == []
    # No copy has strayed into the work queue: its task would run twice.
    assert Counter(message.headers['id'] for message in broker.drain('export')) == producer.messages


def terminate(process: Process) -> None:
    process.popen.send_signal(signal.SIGTERM)
    assert process.wait() == 0


@brokers
def test_killed(broker: Broker, postgresql: TaskDatabase, toolbox: Toolbox, producer: Producer) -> None:
    last = kill_while_it_stores(toolbox, producer, postgresql, TASKS, KILLS)
    producer.wait_until_stored(postgresql, broker, PATIENCE)
    terminate(last)
    check(producer, postgresql, broker)


@brokers
def test_two_at_once(broker: Broker, postgresql: TaskDatabase, toolbox: Toolbox, producer: Producer) -> None:
    monitors = [toolbox.start('monitor', *BATCH) for _ in range(2)]
    for process in monitors:
        process.wait_for('Ready: ')
    producer.send(TASKS)
    producer.wait_until_stored(postgresql, broker, PATIENCE)
    for process in monitors:
        terminate(process)
    check(producer, postgresql, broker)


@brokers
def test_the_database_is_away(
    broker: Broker,
    upgraded: Database,
    postgresql: TaskDatabase,
    toolbox: Toolbox,
    producer: Producer,
) -> None:
    process = toolbox.monitor(*BATCH)
    producer.send(TASKS // 2)
    upgraded.server.stop()
    producer.send(TASKS // 2)
    process.wait_for('The database is away')
    upgraded.server.start()
    producer.wait_until_stored(postgresql, broker, PATIENCE)
    terminate(process)
    check(producer, postgresql, broker)


def test_rabbitmq_is_away(
    rabbitmq_server: RabbitMQ,
    tmp_path: Path,
    processes: Processes,
    postgresql: TaskDatabase,
) -> None:
    broker = rabbitmq_server.broker()
    producer = Producer(make_app(broker))
    process = Toolbox(tmp_path, processes, broker, postgresql.url).monitor(*BATCH)
    producer.send(TASKS // 2)
    rabbitmq_server.stop()
    process.wait_for('The broker is away')
    rabbitmq_server.start()
    producer.send(TASKS // 2)
    producer.wait_until_stored(postgresql, broker, PATIENCE)
    terminate(process)
    check(producer, postgresql, broker)


def test_redis_is_away(tmp_path: Path, processes: Processes, postgresql: TaskDatabase) -> None:
    port, program = free_port(), find_program('redis-server')

    def start_redis() -> Process:
        server = processes.start(
            [
                program,
                '--port',
                str(port),
                '--bind',
                '127.0.0.1',
                '--appendonly',
                'yes',
                '--save',
                '',
                '--dir',
                str(tmp_path),
            ],
            clean_environment(),
        )
        server.wait_for('Ready to accept connections')
        return server

    server = start_redis()
    broker = Broker('redis', 'redis://127.0.0.1:{port}/0', {}, port)
    producer = Producer(make_app(broker))
    process = Toolbox(tmp_path, processes, broker, postgresql.url).monitor(*BATCH)
    producer.send(TASKS // 2)
    server.stop()
    process.wait_for('The broker is away')
    start_redis()
    producer.send(TASKS // 2)
    producer.wait_until_stored(postgresql, broker, PATIENCE)
    terminate(process)
    check(producer, postgresql, broker)
