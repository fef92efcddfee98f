"""A worker never consumes the platform queue: not by default, and not when it is told to, before or while it runs."""

from __future__ import annotations

from functools import partial

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.workers.services import READY, Services, names


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes) -> Services:
    return Services(broker, database, processes)


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_worker_without_queues_option(services: Services) -> None:
    worker = services.start_worker('together', '-c', '2')
    worker.wait_for(READY)
    services.produce('together', 'flood', '200')
    services.wait_until_done({'export.tasks.add': 200})
    assert worker.stop() == 0
    assert names(services.ran()) == {'export.tasks.add': 200}
    assert services.ran() == services.copies() == services.published()


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_celery_purge_empties_all_queues_unless_it_is_told_some(services: Services) -> None:
    def purge(*options: str) -> None:
        program = services.start_celery('together', 'purge', '-f', *options)
        assert program.wait() == 0, program.log

    services.produce('together', 'flood', '10')
    purge('-Q', 'celery')
    assert services.broker.count('export') == services.broker.count(PLATFORM_QUEUE) == 10
    purge('-Q', 'export')
    assert services.broker.count('export') == 0
    assert services.broker.count(PLATFORM_QUEUE) == 10
    purge()
    assert services.broker.count(PLATFORM_QUEUE) == 0


@pytest.mark.parametrize('queues', [PLATFORM_QUEUE, f'export,{PLATFORM_QUEUE}'])
@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_worker_told_to_consume_the_platform_queue(services: Services, queues: str) -> None:
    services.produce('together', 'flood', '200')
    worker = services.start_worker('together', '-c', '2', '-Q', queues)
    assert worker.wait() != 0
    assert 'ready.' not in worker.log
    complaint = worker.log.splitlines()[-1]
    assert f"told to consume '{PLATFORM_QUEUE}', the platform queue" in complaint
    assert f"Start the worker without '{PLATFORM_QUEUE}' in -Q" in complaint
    assert services.copies() == services.published()
    assert not services.ran()


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_worker_told_while_it_runs(services: Services, broker: Broker) -> None:
    """Its own code selects the queue, too, so that the worker would consume it again after a loss of its connection."""
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://', **broker.settings))
    worker = services.start_proxied_worker('together', '-c', '1', SELECTED=PLATFORM_QUEUE)
    sent: set[str] = set()
    for connections in (1, 2):
        wait_until(
            lambda n=connections: worker.log.count('Look for what selects it') == n, 'the worker to be connected'
        )
        for queue, answer in (
            (PLATFORM_QUEUE, f"does not consume '{PLATFORM_QUEUE}'"),
            ('other', 'add consumer other'),
        ):
            # A worker that has just connected does not listen to commands yet.
            told = wait_until(partial(app.control.add_consumer, queue, reply=True, limit=1, timeout=5), 'an answer')
            assert answer in str(told)
        sent.update(app.send_task('export.tasks.tick').id for _ in range(10))
        wait_until(lambda: {key.id for key in services.ran()} == sent, 'all tasks to run')
        if connections == 1:
            broker.cut()
    assert broker.count(PLATFORM_QUEUE) == len(sent)
    assert worker.stop() == 0
