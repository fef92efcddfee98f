"""A storm with servers of its own, for programs that are no tests."""
from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from ..servers.broker import Broker
from ..servers.filesystem import FilesystemBroker
from ..servers.memory import MemoryBroker
from ..servers.postgres import Postgres
from ..servers.process import Processes
from ..servers.rabbitmq import RabbitMQ
from ..servers.redis import Redis
from ..servers.sqs import SQS
from .books import Books
from .run import make_platform, storm

SERVERS: dict[str, type[Redis | RabbitMQ | SQS]] = {'redis': Redis, 'amqp': RabbitMQ, 'sqs': SQS}


def storm_on(broker_name: str, seed: int, seconds: float, rate: float, interval: float,
             directory: Path | None = None) -> Books:
    """Start everything, run a storm, and stop everything.

    :param broker_name: kombu's name of the transport
    :param seed: see `storm`, as for the following three
    :param directory: keeps the logs and notes of all processes; without it, nothing is kept
    """
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='storm-')))
        directory.mkdir(exist_ok=True, parents=True)
        broker = _make_broker(broker_name, directory, stack)
        stack.callback(broker.close)
        postgres = Postgres()
        stack.callback(postgres.close)
        postgres.start()
        processes = stack.enter_context(Processes(directory))
        platform = make_platform(broker, postgres.create_database(), processes)
        stack.callback(platform.close)
        return storm(platform, seed, seconds, rate, interval)


def _make_broker(name: str, directory: Path, stack: ExitStack) -> Broker:
    if name == 'memory':
        return MemoryBroker()
    if name == 'filesystem':
        return FilesystemBroker(directory)
    server = SERVERS[name]()
    stack.callback(server.close)
    if isinstance(server, RabbitMQ):
        server.start()
    server.wait_until_ready()
    return server.broker()
