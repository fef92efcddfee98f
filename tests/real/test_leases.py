"""A message is not delivered twice while a living worker holds it; if the worker is killed, it comes back."""

from __future__ import annotations

import pytest

from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Process, Processes, wait_until
from rig.workers.services import READY, Services

pytestmark = pytest.mark.slow

# In seconds. The tasks wait, or run, for nearly twice as long. A busy machine may stop a worker for seconds.
VISIBILITY_TIMEOUT = 5
#: The queues of each pool, and how many tasks each of these gets that only have to wait for others.
POOLS = {'prefork': {'prefork': 4, 'group.fifo': 0}, 'threads': {'threads': 4}, 'solo': {'solo': 1}}

on_both = pytest.mark.parametrize('broker', ['sqs', 'redis'], indirect=True)


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes) -> Services:
    broker.options.update(visibility_timeout=VISIBILITY_TIMEOUT, polling_interval=0.2)
    return Services(broker, database, processes)


def start_worker(services: Services, pool: str, *options: str) -> Process:
    return services.start_worker('later', '-P', pool, '-Q', ','.join(POOLS[pool]), *options)


@on_both
def test_each_message_runs_once_while_its_worker_lives(services: Services) -> None:
    workers = [start_worker(services, pool, '-c', '2', '-n', f'{pool}{n}@%h') for pool in POOLS for n in range(2)]
    for worker in workers:
        worker.wait_for(READY)
    sent = {queue: count for queues in POOLS.values() for queue, count in queues.items()}
    services.produce('later', 'held', *(f'{queue}={count}' for queue, count in sent.items()))
    busy = {f'later.busy.{acks}': 2 * len(sent) + sum(sent.values()) for acks in ('early', 'late')}
    services.wait_until_done({**busy, 'later.insist.early': 3 * len(sent), 'later.insist.late': 3 * len(sent)})
    wait_until(lambda: set(services.database.states().values()) == {'SUCCESS'}, 'all results')
    for worker in workers:
        worker.ask_to_stop()
    for worker in workers:
        assert worker.stop() == 0
        assert 'the lease' not in worker.log
    assert services.ran() == services.published()
    assert services.copies() == services.published()


@on_both
def test_what_a_killed_worker_held_comes_back_within_the_timeout(services: Services) -> None:
    worker = start_worker(services, 'prefork', '-c', '1', '--prefetch-multiplier', '8')
    worker.wait_for(READY)
    services.produce('later', 'taken')
    wait_until(lambda: worker.log.count('] received') == 6, 'all tasks to be received')
    wait_until(lambda: services.ran().total() >= 1, 'the first to run')
    worker.kill()
    start_worker(services, 'prefork', '-c', '1')
    wait_until(lambda: set(services.ran()) == set(services.published()), 'all to run')
    assert max(services.ran().values()) == 2
    assert services.ran().total() == 7
