"""A FIFO work queue among `predefined_queues`: kombu acknowledges its messages, so each task runs once."""

from __future__ import annotations

import pytest

from cadasta.workertoolbox.setup import setup_app
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.sqs import SQSBroker
from rig.workers.services import READY, Services

from ..conformance.apps import make_app

pytestmark = pytest.mark.slow

# In seconds.
VISIBILITY_TIMEOUT = 5


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_what_a_worker_has_done_is_gone(broker: SQSBroker, database: Database, processes: Processes) -> None:
    broker.options['visibility_timeout'] = VISIBILITY_TIMEOUT
    setup_app(make_app(QUEUES=['prefork', 'threads', 'solo', 'group.fifo'], **broker.settings), throw=True)
    predefined = {f'{broker.prefix}-{name}': {'url': url} for name, url in broker.queues().items()}
    broker.options['predefined_queues'] = predefined
    services = Services(broker, database, processes)
    worker = services.start_worker('later', '-P', 'threads', '-c', '2', '-Q', 'group.fifo,threads')
    worker.wait_for(READY)
    # These run for longer than the visibility timeout, so the worker renews their leases.
    services.produce('later', 'held', 'group.fifo=0', 'threads=0')
    services.wait_until_done({'later.busy.early': 4, 'later.insist.early': 6})
    wait_until(lambda: set(database.states().values()) == {'SUCCESS'}, 'all results')
    for queue in ('group.fifo', 'threads'):
        wait_until(lambda queue=queue: broker.count(queue) == 0, f'{queue} to be empty')
    assert worker.stop() == 0
    assert 'predefined_queues' not in worker.log
    assert 'the lease' not in worker.log
    assert services.ran() == services.published()
    assert broker.count(PLATFORM_QUEUE) == services.published().total()
