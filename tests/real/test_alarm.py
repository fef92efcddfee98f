"""A RabbitMQ that is short of memory takes no messages: a producer gets an error, and a worker waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery

from cadasta.workertoolbox import NotConfirmed
from cadasta.workertoolbox.check.broker import check_broker
from cadasta.workertoolbox.conf import Config
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.rabbitmq import RabbitMQ
from rig.workers.services import READY, Services

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['amqp'], indirect=True)]


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes, rabbitmq_server: RabbitMQ) -> Iterator[Services]:
    broker.options['confirm_timeout'] = 2
    yield Services(broker, database, processes)
    rabbitmq_server.alarm(False)


def test_short_of_memory(services: Services, broker: Broker, rabbitmq_server: RabbitMQ) -> None:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'report'], result_backend='db+sqlite://', **broker.settings))
    app.send_task('export.tasks.flaky', (1,))
    rabbitmq_server.alarm(True)
    with pytest.raises(NotConfirmed, match='not confirmed a message within 2 s: it is short of memory or disk space'):
        app.send_task('export.tasks.tick')
    (reached, *_) = check_broker(app, PLATFORM_QUEUE)
    assert 'takes no messages' in reached.outcome.problems[0].seen
    # A worker starts, and takes tasks. One that sends another task waits.
    worker = services.start_worker('export', '-c', '1', '-Q', 'export')
    worker.wait_for(READY)
    worker.wait_for('a task waits to send one')
    rabbitmq_server.alarm(False)
    services.wait_until_done({'export.tasks.flaky': 1})
    wait_until(lambda: list(services.database.states().values()).count('SUCCESS') > 0, 'the retry to end')
    app.send_task('export.tasks.tick')
    (reached, *_) = check_broker(app, PLATFORM_QUEUE)
    assert reached.state == 'passed'
    assert worker.log.count('Connection to broker lost') == 0
    assert worker.stop() == 0
