"""RabbitMQ and Redis, set up by what their how-tos show, serve producers, workers and monitors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kombu import Connection

from rig.servers.process import Process, Processes, free_port
from rig.servers.programs import find_program
from rig.servers.rabbitmq import SCRIPTS, RabbitMQ
from rig.servers.started import started

from .manual import Manual
from .service import SEND, Service, sqlite, variables
from .terminal import Terminal

pytestmark = pytest.mark.slow

PAGES = ['howto/rabbitmq', 'howto/redis']


@pytest.fixture
def rabbitmq(manual: Manual) -> Iterator[RabbitMQ]:
    """A node with the settings of the manual."""
    server = RabbitMQ()
    with (server.directory / 'rabbitmq.conf').open('a') as configuration:
        configuration.write(f'{manual.file("howto/rabbitmq", "rabbitmq.conf")}\n')
    with started(server):
        yield server


@pytest.mark.timeout(300)
def test_rabbitmq(manual: Manual, rabbitmq: RabbitMQ, processes: Processes, tmp_path: Path) -> None:
    environment = rabbitmq._environment()
    # Debian's wrapper of `rabbitmqctl` wants to be root or the user `rabbitmq`; the script that it wraps does not.
    environment['PATH'] = f'{SCRIPTS}:{environment["PATH"]}'
    terminal = Terminal(processes, environment, tmp_path)
    for block in manual.blocks('howto/rabbitmq', 'console'):
        terminal.follow(block)

    shown = variables(manual.file('howto/rabbitmq', 'environment'))['CELERY_BROKER_URL']
    password, vhost = urlsplit(shown).password, urlsplit(shown).path

    def url(user: str) -> str:
        return f'amqp://{user}:{password}@127.0.0.1:{rabbitmq.port}{vhost}'

    service = Service(processes, sqlite(tmp_path))
    service.celery('toolbox', 'tables', CELERY_BROKER_URL=url('monitor'))
    service.run('-c', SEND, CELERY_BROKER_URL=url('producer'))
    worker = service.worker('-c', '1', CELERY_BROKER_URL=url('export'))
    service.wait_until_stored(service.environment['TOOLBOX_DATABASE'], 4)
    assert worker.stop() == 0
    assert 'ACCESS_REFUSED' not in worker.log
    service.celery('toolbox', 'monitor', '--once', CELERY_BROKER_URL=url('monitor'))
    service.assert_tracked(service.environment['TOOLBOX_DATABASE'], 3)

    impatient: dict[str, Any] = {}
    program = manual.file('howto/rabbitmq', 'impatient.py')
    exec(program.replace('amqp://rabbitmq.example.org/prod', url('producer')), impatient)
    assert impatient['export'](1) is not None

    for user, queue in (('export', 'platform.fifo'), ('export', 'msg'), ('producer', 'export'), ('monitor', 'export')):
        with Connection(url(user)) as connection, pytest.raises(connection.channel_errors, match='ACCESS_REFUSED'):
            connection.default_channel.basic_get(queue)


def test_redis(manual: Manual, processes: Processes, tmp_path: Path) -> None:
    program = find_program('redis-server')
    shown = variables(manual.file('howto/redis', 'environment'))
    password, port = urlsplit(shown['CELERY_BROKER_URL']).password, free_port()
    configuration = tmp_path / 'redis.conf'
    configuration.write_text(
        f'{manual.file("howto/redis", "redis.conf")}\nbind 127.0.0.1\nport {port}\nrequirepass {password}\n'
    )

    def start() -> Process:
        server = processes.start([program, str(configuration)], {}, tmp_path)
        server.wait_for('Ready to accept connections')
        return server

    server = start()
    service = Service(
        processes, {**shown, **sqlite(tmp_path), 'CELERY_BROKER_URL': f'redis://:{password}@127.0.0.1:{port}/0'}
    )
    # The packages that the page installs are there already.
    terminal = Terminal(processes, {**service.environment, 'PIP_NO_INDEX': '1'}, tmp_path)
    for block in manual.blocks('howto/redis', 'console'):
        terminal.follow(block)
    service.celery('toolbox', 'tables')
    service.run('-c', SEND)
    server.kill()
    start()
    worker = service.worker('-c', '1')
    service.wait_until_stored(service.environment['TOOLBOX_DATABASE'], 4)
    assert worker.stop() == 0
    service.celery('toolbox', 'monitor', '--once')
    service.assert_tracked(service.environment['TOOLBOX_DATABASE'], 3)
