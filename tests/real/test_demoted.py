"""Workers, monitors and producers on Redis, when Redis refuses their commands, whatever the reason."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from cadasta.workertoolbox.check.broker import check_broker
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import Monitor, loop
from rig.monitor.at_work import at_work
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import PLATFORM_QUEUE, Broker
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


@pytest.fixture
def app(broker: Broker) -> Celery:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'report'], result_backend='db+sqlite://', **broker.settings))
    return app


@pytest.fixture
def services(broker: Broker, database: Database, processes: Processes) -> Services:
    return Services(broker, database, processes)


@contextmanager
def monitoring(app: Celery, tasks: TaskDatabase, server: redis.Redis) -> Iterator[None]:
    with at_work(Monitor(app, tasks.url)):
        try:
            yield
        finally:
            mend(server)


def send_only(server: redis.Redis, *command: object) -> None:
    """Sends a command on a connection of its own, and does not wait for the answer, which takes long."""
    connection = redis.Connection(port=server.get_connection_kwargs()['port'])
    connection.connect()
    connection.send_command(*command)


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


def isolate(server: redis.Redis) -> None:
    """Takes no writes that no replica gets."""
    server.config_set('min-replicas-to-write', 1)


def get_stuck(server: redis.Redis) -> None:
    """Runs somebody's script, which does not end."""
    server.config_set('busy-reply-threshold', 1)
    send_only(server, 'EVAL', 'while true do end', 0)


def mend(server: redis.Redis) -> None:
    with suppress(redis.ResponseError):
        server.script_kill()

    def is_ready() -> bool:
        with suppress(redis.ResponseError):
            server.replicaof('NO', 'ONE')
            return True
        return False

    wait_until(is_ready, 'Redis to take commands')
    server.config_set('replica-serve-stale-data', 'yes')
    server.config_set('min-replicas-to-write', 0)
    server.config_set('maxmemory', 0)
    server.config_set('maxmemory-policy', 'noeviction')
    server.config_set('requirepass', '')


#: Somebody does this to Redis, and all say that. A worker waits longer each time, so each has a few of them.
HARMS: list[dict[Callable[[redis.Redis], None], str]] = [
    {demote: 'read only replica', go_stale: 'Link with MASTER is down', protect: 'Authentication required'},
    {isolate: 'NOREPLICAS', get_stuck: 'BUSY'},
]


@pytest.mark.parametrize('harms', HARMS)
def test_all_go_on(
    services: Services,
    app: Celery,
    postgresql: TaskDatabase,
    server: redis.Redis,
    harms: dict[Callable[[redis.Redis], None], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker and a monitor say what Redis says, wait, and go on. A producer and the check say it at once."""
    monkeypatch.setattr(loop, '_LONGEST_PAUSE', 0.5)
    # A heartbeat waits for Redis, and says nothing.
    worker = services.start_worker('export', '-c', '1', '-Q', 'export', '--without-heartbeat')
    worker.wait_for(READY)
    with monitoring(app, postgresql, server):
        for harm, complaint in harms.items():
            caplog.clear()
            harm(server)
            worker.wait_for(complaint)
            wait_until(lambda complaint=complaint: complaint in caplog.text, 'the monitor to notice')
            with pytest.raises(OperationalError, match=complaint):
                app.send_task('export.tasks.tick')
            (reached, *_) = check_broker(app, PLATFORM_QUEUE)
            assert complaint in reached.outcome.problems[0].seen
            mend(server)
            sent = app.send_task('export.tasks.tick').id
            wait_until(lambda sent=sent: sent in {key.id for key in services.ran()}, 'a task to run')
            wait_until(lambda sent=sent: sent in postgresql.retries(), 'the task to be tracked')
    # It has waited in between.
    assert 'The worker connects again in' in worker.log
    assert 'Frequent restarts' not in worker.log
    assert worker.stop() == 0


def test_a_full_redis_is_emptied(
    services: Services, broker: Broker, app: Celery, postgresql: TaskDatabase, server: redis.Redis
) -> None:
    """A worker takes no message that is lost then, and tasks and their copies leave Redis, which frees memory."""
    worker = services.start_worker('export', '-c', '1', '-Q', 'export')
    worker.wait_for(READY)
    with monitoring(app, postgresql, server):
        app.send_task('export.tasks.tick')
        wait_until(lambda: len(services.ran()) == postgresql.count() == 1, 'the first task')
        worker.popen.send_signal(signal.SIGSTOP)
        sent = {app.send_task('export.tasks.tick').id for _ in range(10)}
        server.config_set('maxmemory', 1)
        with pytest.raises(OperationalError, match='used memory'):
            app.send_task('export.tasks.tick')
        worker.popen.send_signal(signal.SIGCONT)
        wait_until(lambda: sent <= {key.id for key in services.ran()}, 'all tasks to run')
        wait_until(lambda: postgresql.count() == 11, 'the copies to be stored')
        wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the copies to leave Redis')
        worker.wait_for('Redis does not note which messages this worker holds')
        reached, _, drained = check_broker(app, PLATFORM_QUEUE)
        assert 'it takes no messages: ' in reached.outcome.problems[0].seen
        assert drained.state == 'passed'
    assert server.keys('unacked*') == []
    assert worker.log.count('Connection to broker lost') == 0
    assert worker.stop() == 0


def test_a_redis_that_deletes_messages(app: Celery, server: redis.Redis) -> None:
    """The check finds it before its memory is full."""
    server.config_set('maxmemory-policy', 'allkeys-lru')
    assert next(check_broker(app, PLATFORM_QUEUE)).state == 'passed'
    server.config_set('maxmemory', '1gb')
    (problem,) = next(check_broker(app, PLATFORM_QUEUE)).outcome.problems
    assert problem.seen == 'it deletes messages when its memory is full: maxmemory-policy is allkeys-lru'
    assert 'maxmemory-policy noeviction' in problem.change


def test_a_user_who_may_not_ask(broker: Broker, server: redis.Redis) -> None:
    server.execute_command('ACL', 'SETUSER', 'shy', 'on', 'nopass', '~*', '&*', '+@all', '-info', '-lpushx')
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(broker_url=broker.url.replace('//', '//shy:none@')))
    assert next(check_broker(app, PLATFORM_QUEUE)).state == 'passed'
