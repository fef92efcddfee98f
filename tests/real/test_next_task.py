"""A worker sends the next task of a chain while the broker is away."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis'], indirect=True)]

PROJECT = """
import json, os, pathlib, time
from celery import Celery
from cadasta.workertoolbox import Config

app = Celery('project')
app.config_from_object(Config(QUEUES=['export'], task_publish_retry_policy=json.loads(os.environ['POLICY'])))

@app.task(name='export.first')
def first(gate):
    while not pathlib.Path(gate).exists():
        time.sleep(0.05)

@app.task(name='export.second')
def second(result):
    return 'second'

if __name__ == '__main__':
    (first.s(os.environ['GATE']) | second.s()).delay()
"""
PATIENT = {'max_retries': 600, 'interval_start': 0, 'interval_step': 0.1, 'interval_max': 0.5}


@pytest.mark.parametrize(
    ('policy', 'last_words', 'state'),
    [
        (PATIENT, r'Retrying .*\(6/600', 'SUCCESS'),
        # Celery takes its own number of tries instead.
        ({**PATIENT, 'max_retries': None}, 'Giving up ', 'FAILURE'),
    ],
)
def test_how_often_a_worker_tries(
    broker: Broker,
    database: Database,
    processes: Processes,
    tmp_path: Path,
    policy: dict[str, Any],
    last_words: str,
    state: str,
) -> None:
    (tmp_path / 'project.py').write_text(PROJECT)
    gate = tmp_path / 'gate'
    # By default it takes four seconds until one try to open a connection ends.
    broker.options |= {'connect_retries_timeout': 0.1, 'interval_start': 0, 'interval_step': 0.1}
    environment = clean_environment(
        tmp_path, **broker.proxied_environment, **database.environment, GATE=str(gate), POLICY=json.dumps(policy)
    )
    worker = processes.start(
        [sys.executable, '-m', 'celery', '-A', 'project', 'worker', '-c', '1', '-Q', 'export'], environment
    )
    assert processes.start([sys.executable, 'project.py'], environment, tmp_path).wait() == 0
    wait_until(lambda: [*database.states().values()] == ['STARTED'], 'the first task to start')
    broker.refuse()
    gate.touch()
    worker.wait_for(last_words)
    broker.listen()
    wait_until(lambda: [*database.states().values()] == [state] * 2, 'both tasks to end')
