"""An app with routes of its own: each message arrives where they say, and each retry where its message came from."""

from __future__ import annotations

import pytest

from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes
from rig.workers.services import READY, Services, names

pytestmark = pytest.mark.slow

RUNS = 3
OWN = {
    'legacy.flaky': 'export',
    'video.flaky': 'export',
    'image.flaky': 'export',
    'export.bare': 'urgent',
    'export.rest': 'celery',
    'whatever': 'celery',
}


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes) -> Services:
    return Services(broker, database, processes)


def came_from(services: Services, queue: str) -> dict[str, int]:
    """The number of runs of each task whose messages came from a queue."""
    return dict(names(services.noted(f'from {queue}')))


@pytest.mark.parametrize('broker', ['sqs', 'redis', 'amqp'], indirect=True)
def test_routes_that_are_given_to_config(services: Services) -> None:
    worker = services.start_worker('routed', '-c', '1', '-Q', 'celery,export,urgent')
    worker.wait_for(READY)
    services.produce('routed', 'routed', 'OWN')
    services.wait_until_done(dict.fromkeys(OWN, 2 * RUNS))
    assert worker.stop() == 0
    for queue in ('celery', 'export'):
        assert came_from(services, queue) == {name: RUNS for name, routed in OWN.items() if routed == queue}
    assert came_from(services, 'urgent') == {**dict.fromkeys(OWN, RUNS), 'export.bare': 2 * RUNS}
    assert services.copies() == services.ran() == services.published()


@pytest.mark.parametrize('broker', ['sqs', 'redis'], indirect=True)
def test_routes_that_stand_before_those_of_config(services: Services) -> None:
    worker = services.start_worker('routed.beside', '-c', '1', '-Q', 'export,urgent')
    worker.wait_for(READY)
    services.produce('routed', 'routed', 'BESIDE')
    services.wait_until_done({'beside.flaky': 2 * RUNS})
    assert worker.stop() == 0
    assert came_from(services, 'export') == came_from(services, 'urgent') == {'beside.flaky': RUNS}
    assert services.copies() == services.ran() == services.published()


@pytest.mark.parametrize('broker', ['sqs', 'redis', 'amqp'], indirect=True)
def test_nothing_waits_for_a_chord_that_cannot_be_sent(services: Services) -> None:
    producer = services.start_producer('export', 'unsendable')
    assert producer.wait() == 0, producer.log
    assert producer.log.count("Task 'nosuch.task' was not sent: no work queue serves its routing key") == 4
    assert names(services.published()) == names(services.copies()) == {'export.step': 3}
