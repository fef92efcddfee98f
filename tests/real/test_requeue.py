"""A message that a worker puts back on Amazon SQS comes again, and neither worker nor platform queue minds."""

from __future__ import annotations

import pytest

from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.workers.services import READY, Services

# A worker has received these and not begun them.
WAITING = 3


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes) -> Services:
    return Services(broker, database, processes)


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_what_a_worker_has_received_when_it_stops(services: Services) -> None:
    gate, done = services.processes.logs / 'gate', services.processes.logs / 'done'
    done.mkdir()
    worker = services.start_worker('export', '-c', '1', '-Q', 'export')
    worker.wait_for(READY)
    services.produce('export', 'gated', str(1 + WAITING), str(gate), str(done))
    wait_until(lambda: worker.log.count('] received') == 1 + WAITING, 'all tasks to be received')
    wait_until(lambda: services.ran().total() == 1, 'one of them to run')
    worker.ask_to_stop()
    worker.wait_for('Warm shutdown')
    gate.touch()
    assert worker.stop() == 0
    assert 'UNABLE TO RESTORE' not in worker.log
    assert len(list(done.iterdir())) == 1
    assert len(services.broker.drain('export')) == WAITING
    assert services.copies() == services.published()


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_what_a_process_ran_that_was_killed(services: Services) -> None:
    # With claims, the task would run again when the lease of its first run is over, in a minute.
    worker = services.start_worker('export', '-c', '1', '-Q', 'export', CELERY_RUN_ONCE='no')
    worker.wait_for(READY)
    services.produce('export', 'mortal', str(services.processes.logs / 'died'))
    wait_until(lambda: services.ran().total() == 2, 'the task to run again')
    wait_until(lambda: list(services.database.states().values()) == ['SUCCESS'], 'its result')
    assert worker.stop() == 0
    assert 'Unrecoverable error' not in worker.log
    assert services.broker.count('export') == 0
    assert services.copies() == services.published()
