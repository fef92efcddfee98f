"""Kill producers and relays, restart the database, and count what has become of each task."""

from __future__ import annotations

import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from celery import Celery

from cadasta.workertoolbox import Config, Monitor, upgrade, upgrade_outbox

from ..monitor.databases import url_of
from ..monitor.programs import Toolbox
from ..servers.broker import PLATFORM_QUEUE, Broker
from ..servers.postgres import Database
from ..servers.process import Process, Processes, wait_until

PROJECT = 'from rig.outbox.shop import app\n'
PATIENCE = 120.0
UNFINISHED = """
SELECT 1 FROM celery_task LEFT JOIN celery_taskmeta USING (task_id) WHERE status IS DISTINCT FROM 'SUCCESS'"""


def has_killed(producer: Process, count: int) -> bool:
    return producer.log.count('killed:') >= count or not producer.is_running


@dataclass
class Outcome:
    """What has become of the tasks.

    :param moments: at what the producers were killed
    :param expected: the tasks of the orders that were committed
    :param tracked: the tasks that the platform knows
    :param runs: the runs of each task
    :param copies: the messages in the work queue and in the platform queue beyond one for each task
    """

    moments: Counter[str]
    expected: set[str]
    tracked: set[str]
    runs: Counter[str]
    copies: tuple[int, int]

    def __str__(self) -> str:
        moments = ', '.join(f'{name} {count}' for name, count in sorted(self.moments.items()))
        return (
            f'{sum(self.moments.values())} producers killed ({moments}); {len(self.expected)} tasks committed, '
            f'{len(self.tracked)} tracked, {len(self.runs)} ran, {sum(self.runs.values()) - len(self.runs)} ran twice; '
            f'messages twice: {self.copies[0]} in the work queue, {self.copies[1]} in the platform queue'
        )


class Storm:
    """Two relays, producers and a worker, and what kills them.

    :param directory: the directory for the project of the shop
    """

    def __init__(self, broker: Broker, database: Database, processes: Processes, directory: Path) -> None:
        self.broker, self.database, self.processes = broker, database, processes
        self.url = url_of(database)
        self.toolbox = Toolbox(directory, processes, broker, self.url)
        (directory / 'project.py').write_text(PROJECT)
        self.journal = directory / 'journal'
        self.journal.touch()
        self.toolbox.environment |= {**database.environment, 'JOURNAL': str(self.journal)}
        upgrade(self.url)
        upgrade_outbox(self.url)
        database.execute('CREATE TABLE orders (name text PRIMARY KEY, tasks int)')

    def run(self, kills: int, relay_kills: int, restarts: int) -> Outcome:
        """Kills so many producers, and relays meanwhile, and restarts the database; counts what was left."""
        chance = random.Random(3)
        relays = [self.relay() for _ in range(2)]
        producer = self.processes.start(
            [sys.executable, '-m', 'rig.outbox.producer', self.url, str(kills)], self.toolbox.environment
        )
        faults = ['relay'] * relay_kills + ['database'] * restarts
        chance.shuffle(faults)
        for number, fault in enumerate(faults, 1):
            at = number * kills // (len(faults) + 1)
            wait_until(
                lambda at=at: producer.log.count('killed:') >= at or not producer.is_running, 'the kills', PATIENCE
            )
            time.sleep(chance.uniform(0, 0.05))
            if fault == 'relay':
                relays.pop(0).kill()
                relays.append(self.relay())
            else:
                self.database.server.stop()
                self.database.server.start()
        assert producer.wait(PATIENCE) == 0, producer.log
        wait_until(lambda: self.database.execute('SELECT 1 FROM celery_outbox LIMIT 1') == [], 'the relays', PATIENCE)
        for relay in relays:
            assert relay.stop() == 0, relay.log
        return self.outcome(Counter(re.findall('killed: (.+)', producer.log)))

    def relay(self) -> Process:
        process = self.toolbox.start('relay')
        process.wait_for('Ready: ')
        return process

    def outcome(self, moments: Counter[str]) -> Outcome:
        expected = {
            f'{name}-{number}'
            for name, tasks in self.database.execute('SELECT name, tasks FROM orders')
            for number in range(tasks)
        }
        work, platform = (self.broker.count(queue) - len(expected) for queue in ('export', PLATFORM_QUEUE))
        app = Celery('shop', set_as_current=False)
        app.config_from_object(Config(QUEUES=['export'], **self.broker.settings))
        Monitor(app, self.url, once=True).run()
        tracked = {task_id for (task_id,) in self.database.execute('SELECT task_id FROM celery_task')}
        self.work()
        return Outcome(moments, expected, tracked, Counter(self.journal.read_text().split()), (work, platform))

    def work(self) -> None:
        """Lets a worker run all that is in the queue."""
        worker = self.processes.start(
            [sys.executable, '-m', 'celery', '-A', 'project', 'worker', '-Q', 'export', '-c', '2', '-l', 'INFO'],
            self.toolbox.environment,
        )
        wait_until(lambda: self.broker.count('export') == 0, 'the queue to be empty', PATIENCE, 0.2)
        wait_until(lambda: self.database.execute(UNFINISHED) == [], 'the tasks to succeed', PATIENCE, 0.2)
        worker.stop()
