"""The in-memory broker: no task runs twice or is lost, with worker, producer and beat in one process."""

from __future__ import annotations

import pytest

from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes
from rig.workers.one_process import SENT, send_all_in_one
from rig.workers.services import Services, names

# They go on until they are stopped.
AT_LEAST = ('celery.chord_unlock', 'export.tasks.tick', 'audit.tick')


@pytest.mark.parametrize('broker', ['memory'], indirect=True)
def test_everything_in_one_process(broker: Broker, database: Database, processes: Processes) -> None:
    services = Services(broker, database, processes)
    worker = send_all_in_one(services)
    services.wait_until_done(SENT)
    worker.send_line('write')
    worker.wait_for('written$')

    published = services.published()
    assert max(published.values()) == 1
    assert services.noted('copied') == published
    sent = names(published)
    assert all(sent[task] >= SENT[task] for task in AT_LEAST)
    assert {**sent, **{task: SENT[task] for task in AT_LEAST}} == SENT

    assert worker.stop() == 0
    assert services.ran() == published
