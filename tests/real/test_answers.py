"""A worker on Amazon SQS goes on, whatever Amazon answers, and whichever call it answers so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from rig.servers.broker import Broker
from rig.servers.moto_server import FAULTS
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.sqs import SQS
from rig.workers.services import READY, Services

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['sqs'], indirect=True)]


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes, sqs_server: SQS) -> Iterator[Services]:
    # botocore would try each call five times, and wait in between.
    broker.options['client-config'] = {'retries': {'total_max_attempts': 1}}
    yield Services(broker, database, processes)
    sqs_server.fail()


def fail(services: Services, server: SQS, action: str, answer: str) -> None:
    """Gives this answer from now on, and waits until the worker has had it. Other services are not affected."""
    name = f'{answer} {action}'
    before = server.calls().get(name, 0)
    server.fail(answer=answer, action=action, prefix=services.broker.prefix)
    wait_until(lambda: server.calls().get(name, 0) > before, name)


def test_a_worker_goes_on(services: Services, broker: Broker, sqs_server: SQS) -> None:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'report'], result_backend='db+sqlite://', **broker.settings))

    def run_one() -> None:
        sent = app.send_task('export.tasks.tick').id
        wait_until(lambda: sent in {key.id for key in services.ran()}, 'a task to run')

    sqs_server.fail(answer='list', prefix=broker.prefix)
    worker = services.start_proxied_worker('export', '-c', '1', '-Q', 'export')
    fail(services, sqs_server, 'ListQueues', 'forbidden')
    fail(services, sqs_server, 'CreateQueue', 'wrong')
    sqs_server.fail()
    worker.wait_for(READY)
    run_one()
    restarts = worker.log.count('Connection to broker lost')
    for answer in FAULTS:
        fail(services, sqs_server, 'ReceiveMessage', answer)
        sqs_server.fail(answer=answer, action='DeleteMessage', prefix=broker.prefix)
        run_one()
        wait_until(lambda answer=answer: f'{answer} DeleteMessage' in sqs_server.calls(), 'the task to be acknowledged')
        sqs_server.fail()
    broker.refuse()
    refusals = worker.log.count('it is out of reach')
    wait_until(lambda: worker.log.count('it is out of reach') > refusals + 1, 'the worker to be refused')
    broker.listen()
    run_one()
    # It has waited, and not begun anew.
    assert worker.log.count('Connection to broker lost') == restarts
    assert worker.log.count('next try in') < 100
    assert worker.stop() == 0
