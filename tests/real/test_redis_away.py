"""Workers, monitors, producers and commands on a Redis that loads its data, and on a cluster that lacks a part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import redis
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result
from kombu.exceptions import OperationalError

from cadasta.workertoolbox.check.broker import check_broker
from cadasta.workertoolbox.commands import toolbox
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import Monitor, loop
from rig.monitor.at_work import at_work
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import Process, Processes, wait_until
from rig.servers.redis import Redis
from rig.servers.started import started
from rig.workers.services import READY, Services

pytestmark = pytest.mark.slow


def load(server: Redis) -> None:
    """Kills it, and starts it again: it takes long to load what it had."""
    with redis.Redis(port=server.port) as client:
        client.eval("for _ = 1, 400000 do redis.call('INCR', 'much') end", 0)
    server.kill()
    # In microseconds for a change. It answers now and then.
    server.launch('--key-load-delay', '50')


def load_on(server: Redis) -> None:
    with redis.Redis(port=server.port) as client:
        client.config_set('key-load-delay', 0)


def is_at_work(server: Redis) -> bool:
    with redis.Redis(port=server.port) as client:
        try:
            return client.exists('{test}.') == 0
        except redis.RedisError:
            return False


def join(server: Redis) -> None:
    """Makes it a cluster of one node."""
    with redis.Redis(port=server.port) as client:
        client.execute_command('CLUSTER ADDSLOTSRANGE', 0, 16383)
    wait_until(lambda: is_at_work(server), 'the cluster to take commands')


def lose_a_part(server: Redis) -> None:
    """Nobody has one of its slots, as when a node is lost. None of the tests' keys is in this slot."""
    with redis.Redis(port=server.port) as client:
        client.execute_command('CLUSTER DELSLOTSRANGE', 0, 0)


def find_the_part(server: Redis) -> None:
    with redis.Redis(port=server.port) as client:
        client.execute_command('CLUSTER ADDSLOTSRANGE', 0, 0)


def nothing(server: Redis) -> None:
    """Leaves it as it is."""


@pytest.fixture(scope='module')
def cluster() -> Iterator[Redis]:
    with started(Redis('--cluster-enabled', 'yes')) as server:
        join(server)
        yield server


@pytest.mark.parametrize(
    ('options', 'prepare', 'harm', 'complaint', 'mend'),
    [
        ([], nothing, load, 'Redis is loading the dataset in memory', load_on),
        (['--cluster-enabled', 'yes'], join, lose_a_part, 'The cluster is down', find_the_part),
    ],
    ids=['loading', 'cluster'],
)
def test_all_wait(
    options: list[str],
    prepare: Callable[[Redis], None],
    harm: Callable[[Redis], None],
    complaint: str,
    mend: Callable[[Redis], None],
    upgraded: Database,
    postgresql: TaskDatabase,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker and a monitor say what Redis says, wait, and go on, and no message is lost. Others say it at once."""
    monkeypatch.setattr(loop, '_LONGEST_PAUSE', 0.5)
    with started(Redis(*options)) as server:
        prepare(server)
        broker = server.broker()
        # All keys are in one slot.
        broker.options['global_keyprefix'] = '{test}.'
        services = Services(broker, upgraded, processes)
        app = Celery('export', set_as_current=False)
        app.config_from_object(Config(QUEUES=['export', 'report'], result_backend='db+sqlite://', **broker.settings))

        def lost() -> Result:
            command = ['lost', '--database', postgresql.url]
            return CliRunner().invoke(toolbox, command, obj=CLIContext(app, no_color=True, workdir=None))

        def start(queue: str) -> Process:
            return services.start_worker(
                'export', '-c', '1', '-Q', queue, '-n', f'{queue}@%h', '--without-heartbeat', '--without-mingle'
            )

        idle = start('celery')
        idle.wait_for(READY)
        with at_work(Monitor(app, postgresql.url)):
            sent = {app.send_task('export.tasks.tick').id for _ in range(10)}
            wait_until(lambda: sent == set(postgresql.retries()), 'all tasks to be tracked')
            postgresql.execute("UPDATE celery_task SET last_seen = last_seen - interval '10 minutes'")
            harm(server)
            idle.wait_for(complaint)
            worker = start('export')
            worker.wait_for(complaint)
            wait_until(lambda: complaint in caplog.text, 'the monitor to notice')
            with pytest.raises(OperationalError, match=complaint):
                app.send_task('export.tasks.tick')
            (reached, *_) = check_broker(app, PLATFORM_QUEUE)
            assert complaint in reached.outcome.problems[0].seen
            assert re.fullmatch(f'Error: The broker cannot be reached: .*{complaint}.*\n', lost().stderr)
            mend(server)
            wait_until(lambda: is_at_work(server), 'Redis to take commands')
            sent |= {app.send_task('export.tasks.tick', queue=queue).id for queue in ('celery', 'export')}
            wait_until(lambda: sent == set(postgresql.retries()), 'all tasks to be tracked')
            wait_until(lambda: sent == {key.id for key in services.ran()}, 'all tasks to run')
        assert set(services.ran().values()) == {1}
        assert (lost().exit_code, lost().stderr) == (0, '0 lost\n')
        assert idle.stop() == worker.stop() == 0


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_worker_that_holds_messages_goes_on(broker: Broker, database: Database, processes: Processes) -> None:
    # Redis soon gives back what the worker held.
    broker.options |= {'visibility_timeout': 2, 'unacked_restore_interval': 1, 'unacked_restore_throttle': 1}
    services = Services(broker, database, processes)
    gate, done = processes.logs / 'gate', processes.logs / 'done'
    done.mkdir()
    worker = services.start_proxied_worker('export', '-c', '1', '-Q', 'export')
    worker.wait_for(READY)
    # It runs the first, and holds the others.
    services.produce('export', 'gated', '3', str(gate), str(done))
    wait_until(lambda: [*database.states().values()] == ['STARTED'], 'the first task to start')
    broker.refuse()
    worker.wait_for('Cannot connect to')
    broker.listen()
    worker.wait_for('Connected to .*\n(.*\n)*.*Connected to ')
    gate.touch()
    wait_until(lambda: [*database.states().values()] == ['SUCCESS'] * 3, 'all tasks to end')
    assert worker.stop() == 0
    assert [*services.ran().values()] == [1] * 3


@pytest.mark.parametrize(('prefix', 'is_refused'), [('', True), ('{}{a}', True), ('prod.', True), ('prod{a}.', False)])
def test_keys_in_several_parts_of_a_cluster(cluster: Redis, prefix: str, is_refused: bool) -> None:
    """A producer is refused, and the check says what to change."""
    url, options = f'redis://127.0.0.1:{cluster.port}/0', {'global_keyprefix': prefix}
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(broker_url=url, broker_transport_options=options, QUEUES=['export']))
    reached = next(check_broker(app, PLATFORM_QUEUE))
    if not is_refused:
        assert reached.state == 'passed'
        app.send_task('export.tasks.tick')
        return
    (problem,) = reached.outcome.problems
    assert problem.seen == 'it is a cluster, and refuses commands on keys that may be on several nodes'
    assert "{'global_keyprefix': '{tasks}.'}" in problem.change
    with pytest.raises(OperationalError, match="don't hash to the same slot"):
        app.send_task('export.tasks.tick')
