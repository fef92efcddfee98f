"""A storm of any length: `python -m tests.storm --broker redis --minutes 20 --seed 7`.

Prints each fault and, in the end, the books. Exits with 1 if they do not balance.
"""
from __future__ import annotations

import argparse
import random
import signal
import sys
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
from .faults import FAULTS
from .run import make_platform, storm

SERVERS: dict[str, type[Redis | RabbitMQ | SQS]] = {'redis': Redis, 'amqp': RabbitMQ, 'sqs': SQS}


def make_broker(name: str, directory: Path, stack: ExitStack) -> Broker:
    """A broker of its own, closed with the stack."""
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


def main() -> int:
    parser = argparse.ArgumentParser('python -m tests.storm', description='Run a storm and balance its books.')
    parser.add_argument('--broker', choices=sorted(FAULTS), default='redis')
    parser.add_argument('--minutes', type=float, default=5)
    parser.add_argument('--seed', type=int, default=random.randrange(10000), help='repeats a run; default: any')
    parser.add_argument('--rate', type=float, default=5, help='workflows a second, of about five tasks each')
    parser.add_argument('--interval', type=float, default=2, help='seconds from one fault to the next, on average')
    parser.add_argument('--logs', type=Path, help='keep the logs and notes of all processes in this directory')
    options = parser.parse_args()
    # Without it, the servers would outlive a run that is terminated.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        directory = options.logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='storm-')))
        directory.mkdir(exist_ok=True, parents=True)
        broker = make_broker(options.broker, directory, stack)
        stack.callback(broker.close)
        postgres = Postgres()
        stack.callback(postgres.close)
        postgres.start()
        processes = stack.enter_context(Processes(directory))
        platform = make_platform(broker, postgres.create_database(), processes)
        stack.callback(platform.close)
        books = storm(platform, options.seed, options.minutes * 60, options.rate, options.interval)
    return 0 if books.balance else 1


if __name__ == '__main__':
    sys.exit(main())
