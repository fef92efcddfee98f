"""The monitor goes on, whatever Amazon SQS answers, and whichever call it answers so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import Monitor, loop, progress
from cadasta.workertoolbox.monitor.sources import sqs
from rig.monitor.at_work import at_work
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.moto_server import FAULTS
from rig.servers.process import wait_until
from rig.servers.sqs import SQS


@pytest.fixture(autouse=True)
def well(sqs_server: SQS) -> Iterator[None]:
    yield
    sqs_server.fail()


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_the_monitor_goes_on(broker: Broker, sqs_server: SQS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It asks for the number of messages each time.
    monkeypatch.setattr(progress, 'INTERVAL', 0)
    # A message that it could not delete comes back soon.
    monkeypatch.setattr(sqs, 'MAX_HIDDEN', 1)
    for pause in ('_FIRST_PAUSE', '_LONGEST_PAUSE'):
        monkeypatch.setattr(loop, pause, 0.05)
    # botocore would try each call five times, and wait in between.
    broker.options['client-config'] = {'retries': {'total_max_attempts': 1}}
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://', **broker.settings))
    tasks = TaskDatabase(f'sqlite:///{tmp_path / "tasks"}')
    sent = 0
    with at_work(Monitor(app, tasks.url, linger=0)) as thread:
        for action in ('ReceiveMessage', 'DeleteMessageBatch', 'GetQueueAttributes'):
            for answer in FAULTS:
                name = f'{answer} {action}'
                sqs_server.fail(answer=answer, action=action, prefix=broker.prefix)
                app.send_task('export.project')
                sent += 1
                wait_until(lambda name=name: name in sqs_server.calls() or not thread.is_alive(), name)
                sqs_server.fail()
                assert thread.is_alive(), name
        wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the queue to be empty')
    assert tasks.count() == sent
