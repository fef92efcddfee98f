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
    """A `redis-server` on a free port of 127.0.0.1 that comes back with what it had.

    It has written each change into its log before it answers. The log is the kernel's then: it outlives a server that
    is killed, though not a machine that loses its power.

    :param options: more options of its command line
    """

    def __init__(self, *options: str) -> None:
        self.options = options
        self.program = find_program('redis-server')
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix='redis-'))
        self.databases = count()
        self.starts = count(1)
        self.process: Process | None = None

    def start(self) -> None:
        self.launch()
        assert self.process is not None
        self.process.wait_for('Ready to accept connections')

    def launch(self, *options: str) -> None:
        """Starts it, and does not wait until it has loaded what it had."""
        log = self.directory / f'log-{next(self.starts)}'
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
                '--appendonly',
                'yes',
                '--appendfsync',
                'no',
                *self.options,
                *options,
            ],
            log,
            clean_environment(),
            self.directory,
        )

    def broker(self) -> Broker:
        """A database that nothing has used yet."""
        return RedisBroker('redis', f'redis://127.0.0.1:{{port}}/{next(self.databases)}', {}, self.port, server=self)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)


class RedisBroker(Broker):
    """A database of Redis."""

    def put(self, queue: str, bodies: list[str]) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.lpush(queue, *bodies)
