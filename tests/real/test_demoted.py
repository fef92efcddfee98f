"""A worker on Redis goes on after Redis has refused its commands, whatever the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from cadasta.workertoolbox.conf import Config
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.redis import Redis
from rig.workers.services import READY, Services

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis'], indirect=True)]


@pytest.fixture
def server(redis_server: Redis) -> Iterator[redis.Redis]:
    with redis.Redis(port=redis_server.port) as server:
        yield server
        mend(server)


def demote(server: redis.Redis) -> None:
    """Makes it the replica of a server that is not there, as after a failover."""
    server.replicaof('127.0.0.1', '1')


def go_stale(server: redis.Redis) -> None:
    server.config_set('replica-serve-stale-data', 'no')
    demote(server)


def protect(server: redis.Redis) -> None:
    """Sets a password, and lets everybody connect again."""
    server.config_set('requirepass', 'hush')
    server.execute_command('AUTH', 'hush')
    server.client_kill_filter(_type='normal', skipme=True)


def mend(server: redis.Redis) -> None:
    server.replicaof('NO', 'ONE')
    server.config_set('replica-serve-stale-data', 'yes')
    server.config_set('requirepass', '')


#: What somebody does to Redis, and what the worker logs of it.
HARMS = {
    demote: 'read only replica',
    go_stale: 'Link with MASTER is down',
    protect: 'Authentication required',
}


def test_a_worker_goes_on(broker: Broker, database: Database, processes: Processes, server: redis.Redis) -> None:
    services = Services(broker, database, processes)
    worker = services.start_worker('export', '-c', '1', '-Q', 'export')
    worker.wait_for(READY)
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'report'], result_backend='db+sqlite://', **broker.settings))
    for harm, complaint in HARMS.items():
        harm(server)
        worker.wait_for(complaint)
        mend(server)
        sent = app.send_task('export.tasks.tick').id
        wait_until(lambda sent=sent: sent in {key.id for key in services.ran()}, 'a task to run')
    # It has waited in between.
    assert 'The worker connects again in' in worker.log
    assert 'Frequent restarts' not in worker.log
    assert worker.stop() == 0
