"""The monitor keeps what it holds while its database is away: a broker counts how often it delivers a message."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.database.views import SCHEDULED_VIEW, VIEW
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.monitor import Monitor, loop, presence
from cadasta.workertoolbox.monitor.sources import Limits, amqp, open_source
from cadasta.workertoolbox.monitor.sources.virtual import VirtualSource
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import PATIENCE, wait_until
from rig.servers.sqs import SQS

from .test_streams import make_app

amqp_only = pytest.mark.parametrize('broker', ['amqp'], indirect=True)

# A message that comes back more often than this is lost. It is 20 in RabbitMQ 4.
LIMIT = 3
TASKS = 30


@pytest.fixture
def app(broker: Broker, request: pytest.FixtureRequest) -> Celery:
    """An app whose platform queue is a quorum queue, on a connection that lives by its heartbeats."""
    arguments = {'x-queue-type': 'quorum', 'x-delivery-limit': LIMIT}
    platform = Queue(PLATFORM_QUEUE, Exchange('task_exchange', 'topic'), '#', queue_arguments=arguments)
    app = Celery('outage', set_as_current=False)
    heartbeat = getattr(request, 'param', 2)
    app.config_from_object(
        Config(task_queues=[platform, Queue('export')], broker_heartbeat=heartbeat, **broker.settings)
    )
    return app


@pytest.fixture
def monitor(app: Celery, upgraded: Database, postgresql: TaskDatabase) -> Iterator[Monitor]:
    upgrade(postgresql.url, monitor_role=upgraded.role)
    monitor = Monitor(app, url_of(upgraded, upgraded.role, upgraded.password), batch=10)
    thread = threading.Thread(target=monitor.run)
    thread.start()
    yield monitor
    monitor.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@amqp_only
@pytest.mark.usefixtures('monitor')
def test_a_database_that_refuses_more_often_than_a_quorum_queue_delivers(
    app: Celery,
    broker: Broker,
    upgraded: Database,
    postgresql: TaskDatabase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(loop, '_LONGEST_PAUSE', 0.5)
    with upgraded.server.connect('postgres') as cursor:

        def end_sessions() -> None:
            cursor.execute(
                'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s', (upgraded.role,)
            )

        def wait_for_tries(text: str) -> None:
            wait_until(lambda: caplog.text.count(text) > 2 * LIMIT, f'tries: {text}')

        wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the queue')
        app.send_task('export.project')
        wait_until(lambda: postgresql.count() == 1, 'the monitor to store')
        # A failover to a standby looks like this.
        cursor.execute(f'ALTER DATABASE {upgraded.name} SET default_transaction_read_only = on')
        end_sessions()
        for _ in range(TASKS - 1):
            app.send_task('export.project')
        wait_for_tries('read-only transaction')
        cursor.execute(f'ALTER ROLE {upgraded.role} CONNECTION LIMIT 0')
        cursor.execute(f'ALTER DATABASE {upgraded.name} RESET default_transaction_read_only')
        wait_for_tries('too many connections for role')
        assert postgresql.count() == 1
        cursor.execute(f'ALTER ROLE {upgraded.role} CONNECTION LIMIT -1')
        wait_until(lambda: postgresql.count() == TASKS, 'all tasks to be stored')
    wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the queue to be empty')
    assert 'default_transaction_read_only is on' in caplog.text
    assert "Raise the role's CONNECTION LIMIT" in caplog.text
    assert 'The broker is away' not in caplog.text
    assert postgresql.rejected() == []


@amqp_only
@pytest.mark.parametrize('app', [60], indirect=True)
@pytest.mark.usefixtures('monitor')
def test_an_idle_monitor_keeps_its_broker(
    app: Celery,
    upgraded: Database,
    postgresql: TaskDatabase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(presence, 'EVERY', 0.1)
    app.send_task('export.project')
    wait_until(lambda: postgresql.count() == 1, 'the monitor to store')
    with upgraded.server.connect('postgres') as cursor:
        cursor.execute('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s', (upgraded.role,))
    wait_until(lambda: 'The database is away' in caplog.text, 'the monitor to notice')
    app.send_task('export.project')
    wait_until(lambda: postgresql.count() == 2, 'the monitor to store again')
    assert 'The broker is away' not in caplog.text


@amqp_only
def test_what_is_read_meanwhile_is_bounded(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(broker)
    for _ in range(6):
        app.send_task('export.project')
    with broker.connect() as connection:
        source: Any = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(2, 0.2, lambda: False))
        first = wait_until(source.receive, 'messages')
        source.hold(first, 0)
        monkeypatch.setattr(amqp, 'MAX_HELD_BYTES', 0)
        held = len(source._pending)
        source.hold(first, 0.05)
        assert len(source._pending) == held
        monkeypatch.undo()
        wait_until(lambda: source.hold(first, 0.05) or len(source._pending) == 4, 'what RabbitMQ sends ahead')
        source.acknowledge(first)
        assert [len(source.receive()) for _ in range(2)] == [2, 2]


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_sqs_does_not_show_what_is_kept(broker: Broker, sqs_server: SQS) -> None:
    broker.options['visibility_timeout'] = 1
    app = make_app(broker)
    app.send_task('export.project')
    with broker.connect() as connection:
        source = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(10, 0, lambda: False))
        messages = wait_until(source.receive, 'the message')
        before = sqs_server.calls().get('ChangeMessageVisibilityBatch', 0)
        source.hold(messages, 0.8)
        assert sqs_server.calls()['ChangeMessageVisibilityBatch'] > before
        source.release(messages)
        source.acknowledge(wait_until(source.receive, 'the message to be back'))
        # The source deletes it in a thread, and waits for that here.
        source.acknowledge(())
    assert broker.count(PLATFORM_QUEUE) == 0


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_redis_keeps_what_it_shows(broker: Broker) -> None:
    app = make_app(broker)
    app.send_task('export.project')
    with broker.connect() as connection:
        source = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(10, 0, lambda: False))
        messages = source.receive()
        source.hold(messages, 0.01)
        assert source.receive() == messages != []


@pytest.fixture
def full(tmp_path: Path) -> TaskDatabase:
    """A database that takes no task: nobody can store anything in a view."""
    tasks = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    for view in (VIEW, SCHEDULED_VIEW):
        tasks.execute(f'DROP VIEW {view}')
    tasks.execute('ALTER TABLE celery_task RENAME TO kept')
    tasks.execute('CREATE VIEW celery_task AS SELECT * FROM kept')
    return tasks


@pytest.mark.parametrize('broker', ['memory'], indirect=True)
@pytest.mark.parametrize('is_stopped', [True, False], ids=['stopped', 'refused'])
def test_what_is_kept_goes_back_at_the_end(
    broker: Broker, full: TaskDatabase, is_stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(broker)
    app.send_task('export.project')
    monitor = Monitor(app, full.url)
    monkeypatch.setattr(loop, '_TICK', 0)

    def end(source: Any, messages: Any, seconds: float) -> None:
        if seconds and is_stopped:
            monitor.stop()
        elif seconds:
            # A view that is gone never comes right, as a database that is away may.
            full.execute('DROP VIEW IF EXISTS celery_task')

    monkeypatch.setattr(VirtualSource, 'hold', end)
    with nullcontext() if is_stopped else pytest.raises(NotUsable, match="has no table 'celery_task'"):
        monitor.run()
    assert broker.count(PLATFORM_QUEUE) == 1
