"""The in-memory broker: no task runs twice or is lost, with worker, producer and beat in one process."""
from __future__ import annotations

import pytest

from ..servers.broker import Broker
from ..servers.postgres import Database
from ..servers.process import Processes
from .services import READY, WORKFLOWS, Services, names


@pytest.mark.parametrize('broker', ['memory'], indirect=True)
def test_everything_in_one_process(broker: Broker, database: Database, processes: Processes) -> None:
    services = Services(broker, database, processes)
    worker = services.start_worker('together.memory', '-P', 'threads', '-c', '4')
    expected = {**WORKFLOWS, 'export.tasks.add': 200 + WORKFLOWS['export.tasks.add']}
    worker.wait_for(READY)
    services.wait_until_done({**expected, 'celery.chord_unlock': 1, 'export.tasks.tick': 1, 'audit.tick': 1})
    worker.send_line('write')
    worker.wait_for('written$')

    published = services.published()
    assert max(published.values()) == 1
    assert services.noted('copied') == published
    sent = names(published)
    assert min(sent.pop(task) for task in ('celery.chord_unlock', 'export.tasks.tick', 'audit.tick')) >= 1
    assert sent == expected

    assert worker.stop() == 0
    assert services.ran() == published
