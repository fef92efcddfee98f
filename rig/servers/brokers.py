"""Start a broker with a server of its own, for programs other than tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .broker import Broker
from .filesystem import FilesystemBroker
from .memory import MemoryBroker
from .rabbitmq import RabbitMQ
from .redis import Redis
from .sqs import SQS
from .started import started

SERVERS: dict[str, type[Redis | RabbitMQ | SQS]] = {'redis': Redis, 'amqp': RabbitMQ, 'sqs': SQS}


@contextmanager
def open_broker(name: str, directory: Path) -> Iterator[Broker]:
    """Open a broker for as long as a `with` block lasts.

    :param name: kombu's name of the transport
    :param directory: the directory for the broker that keeps its messages in files
    """
    if name in SERVERS:
        with started(SERVERS[name]()) as server, closing(server.broker()) as broker:
            yield broker
    else:
        with closing(MemoryBroker() if name == 'memory' else FilesystemBroker(directory)) as broker:
            yield broker
