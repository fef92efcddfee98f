"""A relay publishes what was committed, in the order of each transaction, beside others, and says what it cannot do."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from cadasta.workertoolbox import NotConfigured, NotUsable, Relay, outbox, stopping, upgrade_outbox
from cadasta.workertoolbox.relay import loop, table
from cadasta.workertoolbox.relay.sending import Outcome, Sender
from cadasta.workertoolbox.relay.table import OutboxTable
from rig.monitor.databases import url_of
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.pgbouncer import PgBouncer
from rig.servers.postgres import Database, Postgres
from rig.servers.process import wait_until
from rig.servers.started import started

from ..publishing.test_collecting import ids, memory
from .conftest import Make, Shop

postgresql, sqlite = (pytest.mark.parametrize('url', [name], indirect=True) for name in ('postgresql', 'sqlite'))


class Running:
    """A relay in a thread."""

    def __init__(self, app: Celery, url: str) -> None:
        self.relay = Relay(app, url)
        self.thread = threading.Thread(target=self.relay.run)

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.relay.stop()
        self.thread.join()


@memory
def test_everything_in_its_order(app: Celery, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table._LIMITS, 'most', 3)
    expected = [f'{order}-{number}' for order in range(4) for number in range(5)]
    for order in range(4):
        shop.order(app, *expected[5 * order : 5 * order + 5])
    shop.relay(app)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == expected
    assert shop.left() == []


@memory
def test_large_messages_come_in_several_transactions(
    app: Celery, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(table._LIMITS, 'most_bytes', 2500)
    caplog.set_level(logging.INFO)
    shop.order(app, *'12345', args=('x' * 1000,))
    shop.relay(app)
    assert ids(broker) == [*'12345']
    assert [text for text in caplog.messages if 'Published' in text] == ['Published: 3', 'Published: 2']


@memory
@postgresql
def test_two_relays_share_no_transaction(app: Celery, shop: Shop) -> None:
    first, second = (OutboxTable(shop.url, lambda: False) for _ in range(2))
    shop.order(app, '1', '2')
    shop.order(app, '3')
    seen: list[list[str]] = []

    def publish(rows: Any) -> Any:
        seen.append([row.task_id for row in rows])
        if len(seen) == 1:
            # Nobody sees the rows of a transaction of which the other one has published the first only.
            shop.order(app, '4')
            assert second.move(publish) == 1
        return [rows[0].id], {}

    with first, second:
        assert first.move(publish) == 1
        assert seen == [['1', '2', '3'], ['4']]
        assert second.move(publish) == 1
    assert seen[2] == ['2', '3']


@memory
@sqlite
def test_another_relay_waits_on_sqlite(app: Celery, broker: Broker, shop: Shop) -> None:
    shop.order(app, *'12345')
    others = threading.Thread(target=shop.relay, args=(app,))

    def publish(rows: Any) -> Any:
        others.start()
        time.sleep(0.2)
        return [row.id for row in rows], {}

    with OutboxTable(shop.url, lambda: False) as first:
        assert first.move(publish) == 5
    others.join()
    assert shop.left() == []
    # Both would have published the same rows.
    assert ids(broker) == []


@memory
def test_a_relay_that_is_killed_leaves_the_rows(app: Celery, shop: Shop) -> None:
    shop.order(app, '1')

    def publish(rows: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), OutboxTable(shop.url, lambda: False) as first:
        first.move(publish)
    assert shop.left() == [('1', None)]


@memory
@postgresql
def test_a_relay_is_woken(app: Celery, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, 'LONGEST_SLEEP', 1000)
    monkeypatch.setattr(table, 'POLL', 1000)
    sleepers = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
    with Running(app, shop.url):
        wait_until(lambda: shop.execute(sleepers), 'the relay to sleep')
        shop.order(app, '1')
        wait_until(lambda: broker.count('export') == 1, 'the task')
        wait_until(lambda: shop.execute(sleepers), 'the relay to sleep')


@memory
@postgresql
def test_a_relay_does_not_sleep_while_somebody_writes(
    app: Celery, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, 'LONGEST_SLEEP', 1000)
    with shop.engine.begin() as connection, Running(app, shop.url):
        with outbox(app, connection):
            app.send_task('export.project', task_id='1')
        tries = iter(range(3))
        monkeypatch.setattr(OutboxTable, '_listen', lambda self: pytest.fail('it sleeps'))
        wait_until(lambda: next(tries, None) is None, 'some time', interval=table.POLL)
        monkeypatch.undo()
        connection.commit()
        wait_until(lambda: broker.count('export') == 1, 'the task')


@memory
@postgresql
def test_a_notification_that_comes_early(app: Celery, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come with the answer to the last statement before the relay sleeps."""
    monkeypatch.setattr(table, 'LONGEST_SLEEP', 1000)
    listen = OutboxTable._listen

    def order_and_listen(self: OutboxTable) -> None:
        shop.order(app, '1')
        with self._connection.begin():
            self._connection.execute(sa.text('SELECT 1'))
        listen(self)

    monkeypatch.setattr(OutboxTable, '_listen', order_and_listen)
    with OutboxTable(shop.url, lambda: False) as sleeper:
        sleeper.wait()


@memory
@postgresql
def test_what_was_committed_before_it_sleeps_is_seen(app: Celery, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutboxTable, '_listen', lambda self: pytest.fail('it sleeps'))
    with OutboxTable(shop.url, lambda: False) as sleeper:
        shop.order(app, '1')
        sleeper.wait()
    assert shop.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


@memory
def test_a_relay_looks_again(app: Celery, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, 'LONGEST_SLEEP', 0.2)
    with Running(app, shop.url):
        shop.order(app, '1')
        wait_until(lambda: broker.count('export') == 1, 'the task')
        shop.order(app, '2')
        wait_until(lambda: broker.count('export') == 2, 'the task')


@memory
def test_behind_a_pooler(app: Celery, broker: Broker, database: Database) -> None:
    """It would give the notification to another session."""
    upgrade_outbox(url_of(database))
    shop = Shop(url_of(database))
    with started(PgBouncer(database)) as pooler:
        pooled = shop.url.replace(f':{database.server.port}/', f':{pooler.port}/')
        with OutboxTable(pooled, lambda: True) as outbox_table:
            assert not outbox_table._can_listen
        with Running(app, pooled):
            shop.order(app, '1')
            wait_until(lambda: broker.count('export') == 1, 'the task')


@memory
@postgresql
def test_the_database_is_restarted(
    app: Celery, broker: Broker, shop: Shop, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Running(app, shop.url):
        wait_until(lambda: 'Ready' in caplog.text, 'the relay')
        postgres.stop()
        wait_until(lambda: 'The database is away, next try in 0.5 s' in caplog.text, 'the warning')
        postgres.start()
        shop.order(app, '1')
        wait_until(lambda: broker.count('export') == 1, 'the task')


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
@postgresql
def test_the_broker_is_away(
    make: Make, broker: Broker, shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, '_FIRST_PAUSE', 0.1)
    app = make(broker_url=broker.proxied_url, task_publish_retry_policy={'max_retries': 0})
    broker.refuse()
    with Running(app, shop.url):
        shop.order(app, *'12')
        wait_until(lambda: 'next try in 0.2 s' in caplog.text, 'the second warning')
        assert 'The broker does not take all messages, next try in 0.1 s: ' in caplog.text
        assert shop.left() == [('1', None), ('2', None)]
        broker.listen()
        wait_until(lambda: not shop.left(), 'the relay')
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == [*'12']


class Clock:
    """Time passes while a relay sleeps, and something may happen then."""

    def __init__(self, act: Callable[[], None] | None = None) -> None:
        self.now = 100.0
        self.act = act

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.act is not None:
            self.act()


@memory
@sqlite
def test_a_relay_waits_longer_each_time_until_something_is_published(
    app: Celery, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, send, connect = Clock(), Sender.send, OutboxTable.kept
    monkeypatch.setattr(stopping, 'time', clock)
    monkeypatch.setitem(table._LIMITS, 'most', 1)
    away = OSError('amqp://ada:hush@host is away')
    answers, gone = iter([away, away, None, away, None]), iter([sa.exc.OperationalError('', {}, Exception('gone'))])

    def send_later(self: Sender, rows: Any) -> Outcome:
        error = next(answers, None)
        return send(self, rows) if error is None else Outcome([], {}, error)

    def connect_later(self: OutboxTable) -> int:
        for error in gone:
            raise error
        return connect(self)

    monkeypatch.setattr(Sender, 'send', send_later)
    monkeypatch.setattr(OutboxTable, 'kept', connect_later)
    shop.order(app, '1', '2')
    shop.relay(app)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['1', '2']
    assert shop.left() == []
    text = 'The broker does not take all messages, next try in {} s: amqp://********@host is away'
    assert [message for message in caplog.messages if 'next try' in message] == [
        'The database is away, next try in 0.5 s: gone',
        *(text.format(seconds) for seconds in (1, 2, 0.5)),
    ]
    assert clock.now == pytest.approx(104)


@memory
@sqlite
def test_a_relay_that_waits_can_be_stopped(
    app: Celery, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay(app, shop.url)
    clock = Clock(relay.stop)
    monkeypatch.setattr(stopping, 'time', clock)
    monkeypatch.setattr(Sender, 'send', lambda self, rows: Outcome([], {}, OSError('away')))
    shop.order(app, '1')
    relay.run()
    assert clock.now == pytest.approx(100.1)
    assert shop.left() == [('1', None)]


@sqlite
@pytest.mark.parametrize(('is_stopping', 'seconds'), [(False, table.POLL), (True, 0)])
def test_a_relay_that_nobody_wakes_looks_again_soon(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, is_stopping: bool, seconds: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(stopping, 'time', clock)
    with OutboxTable(shop.url, lambda: is_stopping) as sleeper:
        sleeper.wait()
    assert clock.now == pytest.approx(100 + seconds)


@memory
def test_what_can_never_be_published_is_kept_aside(
    app: Celery, make: Make, broker: Broker, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.order(app, *'123456')
    for number, (column, value) in {
        2: ('headers', '[1]'),
        3: ('headers', '{"__type__": "no such", "__value__": 1}'),
        4: ('routing_key', 'nobody'),
        5: ('properties', '7'),
    }.items():
        shop.set(str(number), column, value)
    shop.relay(app)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['1', '6']
    (_, second), (_, third), (_, fourth), (_, fifth) = shop.left()
    assert second == 'Its headers are no object'
    assert str(third).startswith('Its headers cannot be read: ')
    assert "no work queue serves its routing key 'nobody'" in str(fourth)
    assert fifth == 'Its properties are no object'
    assert 'Task export.project[2] can never be published: Its headers are no object; the reason is' in caplog.text
    assert shop.execute('SELECT count(*) FROM celery_outbox WHERE refused IS NULL') == [(0,)]
    caplog.clear()
    shop.execute("UPDATE celery_outbox SET reason = NULL WHERE task_id = '4'")
    shop.relay(make(QUEUES=['export', 'nobody']))
    assert 'Messages that can never be published: 3; the reason is in celery_outbox' in caplog.text
    assert ids(broker, 'nobody') == ['4']


@memory
def test_a_database_that_cannot_be_used(app: Celery, shop: Shop) -> None:
    shop.execute('DROP TABLE celery_outbox')
    with pytest.raises(NotUsable, match=r'run `celery toolbox tables --outbox` first'):
        shop.relay(app)
    with pytest.raises(NotConfigured, match="App 'plain' is not configured"):
        Relay(Celery('plain', set_as_current=False), shop.url)


@memory
@postgresql
def test_roles(app: Celery, broker: Broker, shop: Shop, database: Database) -> None:
    """A producer writes, and neither reads nor changes what is written. A relay publishes, and writes nothing."""
    roles = {kind: f'{database.name}_{kind}' for kind in ('producer', 'relay')}
    for _ in range(2):
        upgrade_outbox(shop.url, producer_role=roles['producer'], relay_role=roles['relay'])
    for role in roles.values():
        database.execute(f"GRANT CONNECT ON DATABASE {database.name} TO {role}; ALTER ROLE {role} PASSWORD 'x'")
    engines = {kind: sa.create_engine(url_of(database, role, 'x')) for kind, role in roles.items()}
    with engines['producer'].begin() as connection, outbox(app, connection):
        app.send_task('export.project', task_id='1')
    forbidden = {
        'producer': [
            'SELECT 1 FROM celery_outbox',
            'DELETE FROM celery_outbox',
            "UPDATE celery_outbox SET reason = 'x'",
            'INSERT INTO celery_outbox (transaction_id) VALUES (1)',
            'LOCK TABLE celery_outbox IN EXCLUSIVE MODE',
        ],
        'relay': ['INSERT INTO celery_outbox DEFAULT VALUES', "UPDATE celery_outbox SET body = ''"],
    }
    for kind, statements in forbidden.items():
        for statement in statements:
            with (
                engines[kind].connect() as connection,
                pytest.raises(sa.exc.ProgrammingError, match='permission denied'),
            ):
                connection.execute(sa.text(statement))
    Relay(app, url_of(database, roles['relay'], 'x'), once=True).run()
    assert ids(broker) == ['1']
    with pytest.raises(NotUsable, match='permission denied for table celery_outbox'):
        Relay(app, url_of(database, roles['producer'], 'x'), once=True).run()
    for engine in engines.values():
        engine.dispose()


@memory
@sqlite
def test_signals_stop_it(app: Celery, shop: Shop) -> None:
    relay = Relay(app, shop.url)
    with relay.stopped_by_signals():
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        relay.run()
        timer.join()
