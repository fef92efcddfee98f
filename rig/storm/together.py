"""A platform in one process, for the broker in its memory."""

from __future__ import annotations

import random

from ..servers.broker import Broker
from ..servers.postgres import Database
from ..servers.process import Processes
from .platform import Platform

CHILDREN = 5


class Together(Platform):
    """Worker, producer, beat, monitor and relay are threads."""

    def __init__(self, broker: Broker, database: Database, processes: Processes) -> None:
        super().__init__(broker, database, processes)
        self.process = self.celery(
            'alone',
            'worker',
            '-l',
            'INFO',
            '-P',
            'threads',
            '-c',
            str(CHILDREN),
            SCHEDULE=str(processes.logs / 'schedule'),
        )
        self.process.wait_for('obeying$')

    def produce(self, seed: int, seconds: float, workflows: int) -> None:
        self.process.send_line(f'produce\t{seed}\t{seconds}\t{workflows}')

    def wait_for_producers(self) -> None:
        self.process.wait_for('produced$')

    def stop_beat(self) -> None:
        self.process.send_line('stop beat')
        self.process.wait_for('beat stopped$')

    def empty_outbox(self) -> None:
        self.process.send_line('empty outbox')
        self.process.wait_for('outbox emptied$')

    def stop(self) -> None:
        self.process.send_line('stop')
        self.process.wait_for('monitor stopped$')
        assert self.process.stop() == 0, self.process.log[-4000:]

    def close_connections(self, chance: random.Random) -> None:
        self.process.send_line('close connections')

    def restart_monitor(self, chance: random.Random) -> None:
        self.process.send_line('restart monitor')

    def restart_relay(self, chance: random.Random) -> None:
        self.process.send_line('restart relay')
