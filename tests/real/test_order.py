"""The platform queue gets a message before the work queue does, whatever the process's hash seed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.environment import clean_environment
from rig.servers.process import Processes
from rig.servers.sqs import SQS
from rig.workers import order

from ..conftest import make_broker

pytestmark = pytest.mark.slow

PROGRAM = Path(order.__file__)
TRANSPORTS = ('memory', 'filesystem', 'redis', 'sqs')
# With each of the last two, kombu itself would serve one of the work queues first.
SEEDS = ('0', '2', '3', '5')
SEND = """
import json, sys
from celery import Celery
from cadasta.workertoolbox.conf import Config

app = Celery('export')
app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://', **json.loads(sys.argv[1])))
app.send_task('export.project')
"""
PLATFORM_FIRST = f'plain {PLATFORM_QUEUE} export {PLATFORM_QUEUE} export {PLATFORM_QUEUE} msg {PLATFORM_QUEUE} export'


def test_every_virtual_transport_serves_the_platform_queue_first(
    request: pytest.FixtureRequest, tmp_path: Path, processes: Processes
) -> None:
    brokers = [make_broker(name, request, tmp_path) for name in TRANSPORTS]
    for broker in brokers:
        request.addfinalizer(broker.close)
    settings = [json.dumps(broker.settings) for broker in brokers]
    programs = [
        processes.start([sys.executable, str(PROGRAM), *settings], clean_environment(PYTHONHASHSEED=seed))
        for seed in SEEDS
    ]
    for program in programs:
        assert program.wait() == 0, program.log
        assert program.log.splitlines() == [PLATFORM_FIRST] * len(TRANSPORTS)


def test_a_task_that_could_not_be_tracked_does_not_run(sqs_server: SQS, processes: Processes) -> None:
    broker = sqs_server.broker()
    options = {**broker.options, 'client-config': {'retries': {'total_max_attempts': 1}}}
    settings = json.dumps({**broker.settings, 'broker_transport_options': options})
    assert processes.start([sys.executable, '-c', SEND, settings], clean_environment()).wait() == 0
    sqs_server.throttle(action='SendMessage', queue=f'{broker.prefix}-{PLATFORM_QUEUE}')
    try:
        programs = [
            processes.start([sys.executable, '-c', SEND, settings], clean_environment(PYTHONHASHSEED=seed))
            for seed in SEEDS
        ]
        for program in programs:
            assert program.wait() == 1
            assert 'Too many requests' in program.log
    finally:
        sqs_server.fail()
    assert broker.count('export') == broker.count(PLATFORM_QUEUE) == 1
