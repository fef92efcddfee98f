"""A worker never consumes the platform queue: not by default, and not when it is told to."""

from __future__ import annotations

import pytest

from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes
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
