"""The queues and policies of the how-to for Amazon SQS are those that real producers, workers and monitors need."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cadasta.workertoolbox.leases.renewal import RENEWALS
from cadasta.workertoolbox.leases.sqs import MAX_CALL
from cadasta.workertoolbox.monitor.sources import Limits, open_source
from cadasta.workertoolbox.timeouts import VISIBILITY
from rig.monitor.databases import url_of
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.sqs import SQS, SQSBroker

from ..monitor.test_streams import make_app
from .manual import DOCS, Manual
from .service import SEND, Service
from .terminal import Terminal

pytestmark = pytest.mark.slow

PAGE = 'howto/aws'
PAGES = [PAGE]
QUEUES = ('celery', 'export', 'msg', 'platform.fifo')
ARN = 'arn:aws:sqs:eu-west-1:123456789012:prod-'
HOLD = "project.apply_async((3,), countdown=3600, task_id='held')"


@pytest.fixture
def broker(sqs_server: SQS) -> Iterator[SQSBroker]:
    broker = sqs_server.broker()
    assert isinstance(broker, SQSBroker)
    yield broker
    broker.close()


@pytest.fixture
def service(
    manual: Manual,
    sqs_server: SQS,
    broker: SQSBroker,
    database: Database,
    processes: Processes,
) -> Service:
    """A service whose queues were made by the manual."""
    endpoint = f'http://127.0.0.1:{sqs_server.port}'
    service = Service(
        processes,
        {
            **broker.environment,
            **database.environment,
            'AWS_ENDPOINT_URL_SQS': endpoint,
            'TOOLBOX_DATABASE': url_of(database),
        },
    )
    (service.directory / 'create_queues.py').write_text(manual.file(PAGE, 'create_queues.py'))
    terminal = Terminal(processes, service.environment, service.directory)
    for block in manual.blocks(PAGE, 'console') * 2:
        terminal.follow(block)
    return service


def test_queues(service: Service, broker: SQSBroker) -> None:
    urls = broker.queues()
    assert sorted(urls) == sorted(QUEUES)
    attributes = broker.client.get_queue_attributes(QueueUrl=urls['platform.fifo'], AttributeNames=['All'])[
        'Attributes'
    ]
    assert attributes['FifoThroughputLimit'] == 'perMessageGroupId'
    assert attributes['DeduplicationScope'] == 'messageGroup'
    assert attributes['MessageRetentionPeriod'] == str(14 * 24 * 3600)
    assert attributes['VisibilityTimeout'] == str(VISIBILITY)


def test_fair_queues(service: Service, manual: Manual, broker: SQSBroker, processes: Processes, tmp_path: Path) -> None:
    (tmp_path / 'fair.py').write_text(manual.file(PAGE, 'fair.py'))
    program = processes.start(
        [sys.executable, '-c', 'import fair; fair.export_for(7, 42)'], service.environment, tmp_path
    )
    assert program.wait() == 0, program.log
    for queue in ('export', 'platform.fifo'):
        (message,) = broker.receive(queue)
        assert message['Attributes']['MessageGroupId'] == 'tenant-7'


def test_the_price_of_leases() -> None:
    calls = 100 // MAX_CALL * 3600 * RENEWALS // VISIBILITY
    text = ' '.join((DOCS / f'{PAGE}.rst').read_text().split())
    assert f'{calls} calls an hour, or {calls * 730:,} a month' in text
    assert f'that is {calls * 730 * 0.4 / 1e4:.0f} cents a month' in text


def allowed(manual: Manual, policy: str) -> dict[str, set[str]]:
    """The rights that a policy of the manual grants: action -> names of the queues."""
    document = json.loads(manual.file(PAGE, policy))
    assert document['Version'] == '2012-10-17'
    allowed: dict[str, set[str]] = {}
    for statement in document['Statement']:
        assert statement['Effect'] == 'Allow'
        resources = {resource.removeprefix(ARN) for resource in as_list(statement['Resource'])}
        for action in as_list(statement['Action']):
            allowed.setdefault(action, set()).update(resources)
    return allowed


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_policies_allow_what_is_called_and_no_more(
    manual: Manual,
    service: Service,
    sqs_server: SQS,
    broker: SQSBroker,
    database: Database,
) -> None:
    producer, worker, monitor = (allowed(manual, f'{name}.json') for name in ('producer', 'worker', 'monitor'))

    def calls(action: Callable[[], None]) -> set[str]:
        """The rights that an action needs: a batch is allowed by the right to its single action."""
        before = sqs_server.calls()
        action()
        return {
            f'sqs:{name.removesuffix("Batch")}'
            for name, count in sqs_server.calls().items()
            if count != before.get(name)
        }

    assert calls(lambda: produce(service)) == set(producer)
    assert calls(lambda: work(service, database)) == set(worker)
    assert calls(lambda: track(service, database, broker)) == set(monitor)
    assert broker.count('platform.fifo') == 0

    assert producer['sqs:SendMessage'] == worker['sqs:SendMessage'] == set(QUEUES)
    assert worker['sqs:ReceiveMessage'] == worker['sqs:DeleteMessage'] == {'celery', 'export'}
    assert monitor['sqs:ReceiveMessage'] == monitor['sqs:DeleteMessage'] == {'platform.fifo'}
    assert all(policy['sqs:ListQueues'] == {'*'} for policy in (producer, worker, monitor))


def produce(service: Service) -> None:
    service.run('-c', f'{SEND}\n{HOLD}')


def work(service: Service, database: Database) -> None:
    """A chord whose tasks are retried, and a task that the worker gives back when it stops."""
    worker = service.worker('-c', '2')
    worker.wait_for(r'Task export\.project\[held\] received')
    service.wait_until_stored(url_of(database), 4)
    assert worker.stop() == 0, worker.log


def track(service: Service, database: Database, broker: SQSBroker) -> None:
    """The monitor ends if it may not store, gives back what it holds if it is told to end, and then stores it."""
    role = f'monitor_of_{database.name}'
    database.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'monitor'")
    database.execute(f'GRANT CONNECT ON DATABASE {database.name} TO {role}')
    service.celery('toolbox', 'tables', '--monitor-role', role)
    url = url_of(database, role, 'monitor')
    database.execute(f'REVOKE INSERT ON celery_task FROM {role}')
    refused = service.start('-m', 'celery', '-A', 'export', 'toolbox', 'monitor', '--once', TOOLBOX_DATABASE=url)
    assert refused.wait() == 1
    database.execute(f'GRANT INSERT ON celery_task TO {role}')
    with broker.connect() as connection:
        queue = make_app(broker).amqp.queues[PLATFORM_QUEUE]
        source = open_source(connection, queue, Limits(10, 0, lambda: False))
        source.release(wait_until(source.receive, 'the messages'))
    service.celery('toolbox', 'monitor', '--once', TOOLBOX_DATABASE=url)
