"""A network that has gone silent: nothing comes back, and nothing says that it will not."""

from __future__ import annotations

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.timeouts import BROKER
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.workers.services import READY, Services

pytestmark = pytest.mark.slow

#: A worker logs this. Redis loses what it gives to a connection that breaks, so nothing is sent before.
NOTICED = 'Connection to broker lost|Redis BRPOP got no reply'

on_both = pytest.mark.parametrize('broker', ['amqp', 'redis'], indirect=True)


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes) -> Services:
    # Ten seconds by default, and five.
    broker.options.update(dict.fromkeys(BROKER[broker.name], 2))
    return Services(broker, database, processes)


@on_both
def test_a_producer_goes_on(services: Services) -> None:
    producer = services.start_producer('export', 'interrupted')
    producer.wait_for('^half$')
    services.broker.mute()
    producer.send_line('go on')
    assert producer.wait() == 0, producer.log
    # The client sends again what was swallowed, or whose answer was.
    assert services.broker.count('export') >= 200


@on_both
def test_a_worker_goes_on(services: Services) -> None:
    pools = ('prefork', 'solo')
    environment = {**services._environment(services.broker.proxied_environment), 'CELERY_BROKER_HEARTBEAT': '2'}
    workers = [
        services.processes.start(
            services._celery('later', 'worker', '-l', 'INFO', '-n', f'{pool}@%h', '-P', pool, '-c', '1', '-Q', pool),
            environment,
        )
        for pool in pools
    ]
    for worker in workers:
        worker.wait_for(READY)
    services.broker.mute()
    for worker in workers:
        worker.wait_for(NOTICED)
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=pools, result_backend='db+sqlite://', **services.broker.settings))
    sent: dict[str, set[str]] = {pool: set() for pool in pools}

    def all_go_on() -> bool:
        ran = {key.id for key in services.ran()}
        waiting = [pool for pool in pools if not sent[pool] & ran]
        for pool in waiting:
            sent[pool].add(app.send_task('later.busy.early', (0,), queue=pool).id)
        return not waiting

    wait_until(all_go_on, 'each worker to run a task', interval=1)


def test_libpq_is_told_how_long_to_wait(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in database.environment.items():
        monkeypatch.setenv(name, value)
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://'))
    session = app.backend.ResultSession()
    parameters = session.connection().connection.dbapi_connection.info.dsn_parameters
    session.close()
    assert (parameters['connect_timeout'], parameters['keepalives_idle'], parameters['tcp_user_timeout']) == (
        '10',
        '30',
        '60000',
    )
