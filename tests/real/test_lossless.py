"""Whatever sends a task, on whatever broker: it runs once, and the platform queue gets one copy of its message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.postgres import Postgres
from rig.servers.process import Processes, wait_until
from rig.workers.services import BEAT, WORKFLOWS, Services, names

from ..conftest import make_broker

# Whatever a password may hold, in a URL too.
PASSWORD = 'p@ss:w/rd%?#&+ é'
WORK_QUEUES = ('celery', 'export', 'report')


class Counts(NamedTuple):
    work: int
    platform: int


@pytest.fixture(scope='module', params=['filesystem', 'redis', 'amqp', 'sqs'])
def services(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: Postgres,
) -> Iterator[Services]:
    directory = tmp_path_factory.mktemp(request.param)
    broker = make_broker(request.param, request, directory)
    with Processes(directory) as processes:
        yield Services(broker, postgres.create_database(PASSWORD), processes)
    broker.close()


@pytest.fixture(scope='module')
def flooded(services: Services) -> Counts:
    """200 tasks from a producer that found nothing on the broker: what the queues held before any worker started."""
    services.produce('export', 'flood', '200')
    return Counts(services.broker.count('export'), services.broker.count(PLATFORM_QUEUE))


@pytest.fixture(scope='module')
def workers(services: Services, flooded: Counts) -> Iterator[None]:
    """A worker for each of two services, one with `-Q` and one without.

    When they have stopped, everything has run once, and nothing is left in the work queues.
    """
    workers = services.start_workers()
    services.wait_until_done({'export.tasks.add': 200})
    yield
    for worker in workers:
        worker.ask_to_stop()
    assert [worker.stop() for worker in workers] == [0, 0]
    assert services.ran() == services.published()
    assert [services.broker.count(queue) for queue in WORK_QUEUES] == [0, 0, 0]


def assert_all_tracked(services: Services) -> None:
    published = services.published()
    assert max(published.values()) == 1
    assert services.ran() == published
    assert services.copies() == published


def test_producer_with_threads(services: Services, flooded: Counts, workers: None) -> None:
    assert flooded == Counts(work=200, platform=200)
    assert names(services.published()) == {'export.tasks.add': 200}
    assert_all_tracked(services)


def test_workflows(services: Services, workers: None) -> None:
    services.begin()
    services.produce('export', 'workflows')
    services.wait_until_done({**WORKFLOWS, 'celery.chord_unlock': 1})
    sent = names(services.published())
    assert sent.pop('celery.chord_unlock') >= 1
    assert sent == WORKFLOWS
    assert_all_tracked(services)

    tasks = {message.id: message.task for message in services.published() if message.task != 'celery.chord_unlock'}
    results = wait_until(lambda: finished(services, set(tasks)), f'the results of {tasks}')
    assert {(tasks[id_], state) for id_, (state, _) in results.items()} == {
        (task, 'FAILURE' if task == 'export.tasks.fail' else 'SUCCESS') for task in WORKFLOWS
    }
    totals = sorted(result for id_, (_, result) in results.items() if tasks[id_] == 'report.tasks.total')
    assert totals == [4, 0 + 2 + 4 + 6]


def finished(services: Services, ids: set[str]) -> dict[str, tuple[str, Any]] | None:
    """State and result of the tasks, once all of them have come to an end."""
    rows = services.database.execute(
        "SELECT task_id, status, result FROM celery_taskmeta WHERE status IN ('SUCCESS', 'FAILURE')"
    )
    results = {id_: (state, json.loads(bytes(result))) for id_, state, result in rows if id_ in ids}
    return results if results.keys() == ids else None


def test_beat(services: Services, workers: None) -> None:
    services.begin()
    beat = services.start_beat('export')
    services.wait_until_done(BEAT)
    beat.stop()
    services.wait_until_done(BEAT)
    assert_all_tracked(services)


def test_connections_cut_in_the_middle(services: Services, workers: None) -> None:
    services.begin()
    producer = services.start_producer('export', 'interrupted')
    producer.wait_for('^half$')
    cut = services.broker.cut()
    producer.send_line('go' if cut else 'close')
    assert producer.wait() == 0, producer.log
    services.wait_until_done({'export.tasks.add': 200})
    assert cut or services.broker.name == 'filesystem'
    assert names(services.published()) == {'export.tasks.add': 200}
    assert_all_tracked(services)
