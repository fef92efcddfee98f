"""Workers on Redis whose clocks differ by more than the visibility timeout: kombu compares them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

from .service import Service

pytestmark = pytest.mark.parametrize('broker', ['redis'], indirect=True)

TASKS = 12


@pytest.mark.parametrize('seconds', [-60, 60])
def test_each_task_runs_once(once: Service, seconds: int, tmp_path: Path) -> None:
    """A worker gives back what another holds, as if that had been killed. What comes back is not run again."""
    once.broker.options['visibility_timeout'] = 4
    gate = str(tmp_path / 'gate')
    workers = [once.start('-Q', 'once', '-c', '2', lease=3, project='skewed', CLOCK=str(seconds))]
    sent = [once.send(name, gate) for name in ('late', 'plain') for _ in range(TASKS // 2)]
    once.wait_until(lambda: len(once.notes()) == 2, 'two tasks to run')
    workers.append(once.start('-Q', 'once', '-c', '2', lease=3))
    once.wait_until(lambda: len(once.notes()) == 4, 'two more to run')
    received = re.compile(r'\] received$', re.MULTILINE)
    once.wait_until(lambda: sum(len(received.findall(worker.log)) for worker in workers) > TASKS, 'copies to come back')
    Path(gate).touch()
    for task_id in sent:
        once.wait_for_state(task_id, 'SUCCESS')
    with redis.Redis.from_url(once.broker.url) as client:
        once.wait_until(lambda: client.llen('once') == client.hlen('unacked') == 0, 'all copies to be dropped')
    assert {task_id: (once.count('begin', task_id), once.row(task_id, 'runs')) for task_id in sent} == dict.fromkeys(
        sent, (1, 1)
    )
