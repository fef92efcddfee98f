"""A producer that knows which tasks must be stored, and a monitor that is killed."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from celery import Celery

from ..servers.broker import PLATFORM_QUEUE, Broker
from ..servers.process import Process, wait_until
from .databases import TaskDatabase
from .programs import Toolbox

BATCH = ('--batch', '10', '--linger', '0.05')


class Producer:
    """Schedules tasks, some of them with retries."""

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

    def wait_until_stored(self, tasks: TaskDatabase, broker: Broker, patience: float) -> None:
        """Waits until each task is stored with its last retry, and the platform queue is empty."""
        # RabbitMQ does not count the messages that it has sent to a monitor which has not stored them yet.
        wait_until(lambda: tasks.retries() == self.retries, 'tasks to be stored', patience, 0.1)
        wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the queue to be empty', patience, 0.1)


def expect_kills(broker: Broker) -> None:
    """Makes the broker deliver again soon the messages that a killed monitor had received."""
    if broker.name == 'sqs':
        broker.options['visibility_timeout'] = 2


def kill_while_it_stores(
    toolbox: Toolbox,
    producer: Producer,
    database: TaskDatabase,
    tasks: int,
    kills: int,
) -> Process:
    """Kills one monitor after another while tasks are sent. Each has begun to store its share of them.

    :param toolbox: starts the monitors
    :param producer: sends the tasks
    :param database: the database that stores them
    :param tasks: the number of tasks
    :param kills: the number of monitors
    :returns: the last monitor, which still runs
    """
    chance = random.Random(4)
    for _ in range(kills):
        process = toolbox.monitor(*BATCH)
        before = database.count()
        sending = threading.Thread(target=producer.send, args=(tasks // kills,))
        sending.start()
        wait_until(lambda before=before: database.count() > before, 'the monitor to store')
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        sending.join()
    return toolbox.monitor(*BATCH)
