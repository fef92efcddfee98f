"""Publishes tasks over the memory transport: one round for each line that it reads. It prints the rate of each round.

The rate is for a second of CPU time: the app waits for nothing, and other programs do not count. Each app runs in a
process of its own, so that each imports its own release of the package: `python benchmarks/publisher.py plain`.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version

from celery import Celery
from kombu import Queue

TASKS = 1000
# Celery can load this backend on any machine. The app stores nothing in it.
SETTINGS = {'broker_url': 'memory://', 'result_backend': 'db+sqlite://'}


def project(number: int) -> None:
    """Do nothing, in place of a task's work."""


def plain() -> Celery:
    """Make an app with one queue, in plain Celery."""
    app = Celery('plain')
    app.conf.update(SETTINGS, task_queues=[Queue('export', routing_key='export')], task_default_queue='export')
    return app


def ours(queues: int) -> Celery:
    from cadasta.workertoolbox.conf import Config

    app = Celery('ours')
    app.config_from_object(Config(QUEUES=['export', *(f'queue-{number}' for number in range(1, queues))], **SETTINGS))
    return app


def earlier() -> Celery:
    """Make an app of the earlier release, which leaves its set-up to the caller."""
    from cadasta.workertoolbox.conf import Config
    from cadasta.workertoolbox.setup import setup_app

    app = Celery('earlier')
    app.config_from_object(Config(broker_transport='memory', imports=(), **SETTINGS))
    setup_app(app)
    return app


APPS = {'plain': plain, 'two': lambda: ours(2), 'thousand': lambda: ours(1000), 'earlier': earlier}


def main(name: str) -> None:
    app = APPS[name]()
    task = app.task(project, name='export.project', lazy=False)
    copies = 1 if name == 'plain' else 2
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        task.delay(0)
        print(version('celery'), flush=True)
        for _ in sys.stdin:
            for queue in app.amqp.queues:
                channel.queue_purge(queue)
            start = time.process_time()
            for number in range(TASKS):
                task.delay(number)
            seconds = time.process_time() - start
            delivered = sum(channel.queue_declare(queue, passive=True).message_count for queue in app.amqp.queues)
            if delivered != copies * TASKS:
                sys.exit(f'{delivered} messages were delivered of {TASKS} tasks')
            print(TASKS / seconds, flush=True)


if __name__ == '__main__':
    main(sys.argv[1])
