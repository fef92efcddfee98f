"""A virtual host may make quorum queues of all that are declared without a type, as operators of RabbitMQ 4 like it."""

from __future__ import annotations

import pytest
from celery import Celery

from cadasta.workertoolbox.check.broker import check_broker
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import Monitor
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.rabbitmq import RabbitMQ
from rig.workers.services import READY, Services

pytestmark = pytest.mark.slow


def test_all_goes_on(
    rabbitmq_server: RabbitMQ, upgraded: Database, postgresql: TaskDatabase, processes: Processes
) -> None:
    broker = rabbitmq_server.quorum_broker()
    services = Services(broker, upgraded, processes)
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'report'], task_default_queue_type='quorum', **broker.settings))
    app.send_task('export.tasks.flaky', (2,), priority=5)
    worker = services.start_worker('export', '-c', '1', '-Q', 'export', CELERY_TASK_DEFAULT_QUEUE_TYPE='quorum')
    worker.wait_for(READY)
    app.send_task('export.tasks.tick')
    services.wait_until_done({'export.tasks.flaky': 1})
    wait_until(lambda: list(upgraded.states().values()).count('SUCCESS') == 2, 'both tasks to end')
    # The queues are as the app would declare them.
    reached, queues, _ = check_broker(app, PLATFORM_QUEUE)
    assert [reached.state, queues.state] == ['passed', 'passed']
    with broker.connect() as connection, pytest.raises(connection.channel_errors, match=r"x-queue-type.*'classic'"):
        connection.default_channel.queue_declare(
            'export', durable=True, auto_delete=False, arguments={'x-queue-type': 'classic'}
        )
    Monitor(app, postgresql.url, once=True).run()
    assert sorted(postgresql.retries().values())[-1] > 0
    assert postgresql.count() == 2
    assert 'PRECONDITION_FAILED' not in worker.log
    assert worker.stop() == 0
