"""A private Redis."""

from __future__ import annotations

import shutil
import tempfile
from itertools import count
from pathlib import Path

import redis

from .broker import Broker
from .environment import clean_environment
from .process import Process, free_port
from .programs import find_program

DATABASES = 1000


class Redis:
    """A `redis-server` on a free port of 127.0.0.1 that keeps nothing."""

    def __init__(self) -> None:
        self.program = find_program('redis-server')
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix='redis-'))
        self.databases = count()
        self.process: Process | None = None

    def start(self) -> None:
        self.process = Process(
            [
                self.program,
                '--port',
                str(self.port),
                '--bind',
                '127.0.0.1',
                '--databases',
                str(DATABASES),
                '--save',
                '',
            ],
            self.directory / 'log',
            clean_environment(),
            self.directory,
        )
        self.process.wait_for('Ready to accept connections')

    def broker(self) -> Broker:
        """A database that nothing has used yet."""
        return RedisBroker('redis', f'redis://127.0.0.1:{{port}}/{next(self.databases)}', {}, self.port)

    def close(self) -> None:
        if self.process is not None:
            self.process.stop()
        shutil.rmtree(self.directory)


class RedisBroker(Broker):
    """A database of Redis."""

    def put(self, queue: str, bodies: list[str]) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.lpush(queue, *bodies)
