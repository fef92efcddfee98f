"""Whatever fails, and whenever: each scheduled task is stored once, with its last retry, and no task runs twice.

`FULL_FAULTS=1` makes the tests larger: 2,000 tasks and 50 kills.
"""
from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from ..conftest import make_broker
from ..servers.broker import PLATFORM_QUEUE, Broker
from ..servers.environment import clean_environment
from ..servers.postgres import Database
from ..servers.process import Process, Processes, free_port, wait_until
from ..servers.rabbitmq import RabbitMQ
from .databases import TaskDatabase
from .programs import Toolbox
from .test_streams import make_app

FULL = 'FULL_FAULTS' in os.environ
TASKS = 2000 if FULL else 150
KILLS = 50 if FULL else 2
BATCH = ('--batch', '10', '--linger', '0.05')
PATIENCE = 240 if FULL else 45

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 if FULL else 120)]
brokers = pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    broker = make_broker(request.param, request, tmp_path)
    if broker.name == 'sqs':
        # What a killed monitor had received is hidden for so long.
        broker.options['visibility_timeout'] = 2
    yield broker
    broker.close()


@pytest.fixture
def toolbox(tmp_path: Path, processes: Processes, broker: Broker, postgresql: TaskDatabase) -> Toolbox:
    return Toolbox(tmp_path, processes, broker, postgresql.url)


class Producer:
    """Schedules tasks, some of them with retries, and knows what must be stored."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.retries: dict[str, int] = {}
        self.messages: Counter[str] = Counter()

    def send(self, count: int) -> None:
        for number in range(count):
            result = self.app.send_task('export.project', (len(self.retries),))
            self.retries[result.id] = number % 3
            for retry in range(1, number % 3 + 1):
                self.app.send_task('export.project', (), task_id=result.id, retries=retry)
            self.messages[result.id] += 1 + number % 3

    def check(self, tasks: TaskDatabase, broker: Broker) -> None:
        stored = {task_id: row['retries'] for task_id, row in tasks.tasks().items()}
        assert len(stored) == len(self.retries)
        assert stored == self.retries
        assert tasks.rejected() == []
        # No copy has strayed into the work queue: its task would run twice.
        assert Counter(message.headers['id'] for message in broker.drain('export')) == self.messages


@pytest.fixture
def producer(broker: Broker) -> Producer:
    return Producer(make_app(broker))


def wait_until_stored(producer: Producer, tasks: TaskDatabase, broker: Broker) -> None:
    """Waits until the platform queue is empty, and every task is stored as it must be."""
    wait_until(lambda: tasks.count() == len(producer.retries), 'tasks to be stored', PATIENCE, 0.1)
    wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the queue to be empty', PATIENCE, 0.1)


def terminate(process: Process) -> None:
    process.popen.send_signal(signal.SIGTERM)
    assert process.wait() == 0


@brokers
def test_killed(broker: Broker, postgresql: TaskDatabase, toolbox: Toolbox, producer: Producer) -> None:
    chance = random.Random(4)
    sending = threading.Thread(target=producer.send, args=(TASKS,))
    sending.start()
    for _ in range(KILLS):
        process = toolbox.monitor(*BATCH)
        time.sleep(chance.uniform(0, 0.15))
        process.kill()
    sending.join()
    last = toolbox.monitor(*BATCH)
    wait_until_stored(producer, postgresql, broker)
    terminate(last)
    producer.check(postgresql, broker)


@brokers
def test_two_at_once(broker: Broker, postgresql: TaskDatabase, toolbox: Toolbox, producer: Producer) -> None:
    monitors = [toolbox.start('monitor', *BATCH) for _ in range(2)]
    for process in monitors:
        process.wait_for('Ready: ')
    producer.send(TASKS)
    wait_until_stored(producer, postgresql, broker)
    for process in monitors:
        terminate(process)
    producer.check(postgresql, broker)


@brokers
def test_the_database_is_away(
    broker: Broker, database: Database, postgresql: TaskDatabase, toolbox: Toolbox, producer: Producer,
) -> None:
    process = toolbox.monitor(*BATCH)
    producer.send(TASKS // 2)
    database.server.stop()
    producer.send(TASKS // 2)
    process.wait_for('The database is away')
    database.server.start()
    wait_until_stored(producer, postgresql, broker)
    terminate(process)
    producer.check(postgresql, broker)


def test_rabbitmq_is_away(
    rabbitmq_server: RabbitMQ, tmp_path: Path, processes: Processes, postgresql: TaskDatabase,
) -> None:
    broker = rabbitmq_server.broker()
    producer = Producer(make_app(broker))
    process = Toolbox(tmp_path, processes, broker, postgresql.url).monitor(*BATCH)
    producer.send(TASKS // 2)
    rabbitmq_server.stop()
    process.wait_for('The broker is away')
    rabbitmq_server.start()
    rabbitmq_server.wait_until_ready()
    producer.send(TASKS // 2)
    wait_until_stored(producer, postgresql, broker)
    terminate(process)
    producer.check(postgresql, broker)


def test_redis_is_away(tmp_path: Path, processes: Processes, postgresql: TaskDatabase) -> None:
    port = free_port()

    def start_redis() -> Process:
        server = processes.start(
            ['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--appendonly', 'yes', '--save', '',
             '--dir', str(tmp_path)], clean_environment())
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
    wait_until_stored(producer, postgresql, broker)
    terminate(process)
    producer.check(postgresql, broker)
