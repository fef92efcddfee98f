"""The monitor as a part of somebody's program."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy.exc import OperationalError

from cadasta.workertoolbox.database.views import SCHEDULED_VIEW, VIEW
from cadasta.workertoolbox.monitor import Monitor, NotUsable, loop, progress
from cadasta.workertoolbox.monitor.message import Message
from cadasta.workertoolbox.monitor.sources import Limits, base, connection_of, open_source
from cadasta.workertoolbox.monitor.sources.base import MAX_BATCH_BYTES
from cadasta.workertoolbox.monitor.store import Store, Stored
from cadasta.workertoolbox.setup import setup_app
from cadasta.workertoolbox.timeouts import BROKER
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.process import PATIENCE, wait_until
from rig.servers.sqs import SQS

from .messages import message
from .test_streams import drain, make_app

memory = pytest.mark.parametrize('broker', ['memory'], indirect=True)
GONE = OperationalError('SELECT 1', {}, Exception('gone'))
served = pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)


@pytest.fixture
def tasks(tmp_path: Path) -> TaskDatabase:
    return TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')


@pytest.fixture
def running() -> Iterator[Any]:
    """Runs monitors in threads; stops them at the end."""
    monitors: list[tuple[Monitor, threading.Thread]] = []

    def start(monitor: Monitor) -> threading.Thread:
        thread = threading.Thread(target=monitor.run)
        thread.start()
        monitors.append((monitor, thread))
        return thread

    yield start
    for monitor, thread in monitors:
        monitor.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


# Not by files: kombu takes one that is not written yet, and what it holds is lost, whoever consumes.
@pytest.mark.parametrize('broker', ['memory', 'redis', 'amqp', 'sqs'], indirect=True)
def test_what_is_sent_while_it_runs(broker: Broker, tasks: TaskDatabase, running: Any) -> None:
    app = make_app(broker)
    # Two threads that need a queue in memory at once make two, and the messages in one of them are lost.
    setup_app(app)
    running(Monitor(app, tasks.url, batch=3))
    for _ in range(2):
        for _ in range(5):
            app.send_task('export.project')
        wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the queue to be empty')
    wait_until(lambda: tasks.count() == 10, 'all to be stored')


@pytest.mark.parametrize('broker', ['memory', 'redis', 'amqp', 'sqs'], indirect=True)
def test_once_ends_although_more_is_sent(broker: Broker, tasks: TaskDatabase) -> None:
    app = make_app(broker)
    before = {app.send_task('export.project').id for _ in range(20)}
    broker.count(PLATFORM_QUEUE)
    is_over = threading.Event()

    def send() -> None:
        while not is_over.wait(0.01):
            app.send_task('export.project')

    sender = threading.Thread(target=send)
    sender.start()
    try:
        Monitor(app, tasks.url, batch=3, linger=0.05, once=True).run()
    finally:
        is_over.set()
        sender.join()
    assert before <= set(tasks.tasks())


@pytest.mark.parametrize('broker', ['memory', 'filesystem', 'sqs'], indirect=True)
@pytest.mark.long
def test_a_batch_that_cannot_be_stored_goes_back_to_the_platform_queue_alone(
    broker: Broker,
    tasks: TaskDatabase,
    running: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(broker)
    app.send_task('export.project')
    ready = tmp_path / 'monitor-is-ready'
    for view in (VIEW, SCHEDULED_VIEW):
        # SQLite would not rename what a view of a view shows.
        tasks.execute(f'DROP VIEW {view}')
    # Nobody can store anything in a view.
    tasks.execute('ALTER TABLE celery_task RENAME TO kept')
    tasks.execute('CREATE VIEW celery_task AS SELECT * FROM kept')
    running(Monitor(app, tasks.url, ready_file=ready))
    wait_until(lambda: caplog.text.count('The database is away') >= 2, 'the second failure')
    assert 'next try in 0.5 s: ' in caplog.text
    assert 'because it is a view' in caplog.text
    assert 'next try in 1 s' in caplog.text
    # It is there while the monitor tries, and not while it waits.
    wait_until(lambda: not ready.exists(), 'the ready file to be removed')
    tasks.execute('DROP VIEW celery_task')
    tasks.execute('ALTER TABLE kept RENAME TO celery_task')
    wait_until(lambda: tasks.count() == 1, 'the message to be stored')
    wait_until(ready.exists, 'the ready file')
    assert tasks.rejected() == []
    wait_until(lambda: broker.count(PLATFORM_QUEUE) == 0, 'the message to be acknowledged')
    assert broker.count('export') == 1


@memory
def test_an_unusable_database_ends_it(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(NotUsable):
        Monitor(make_app(broker), f'sqlite:///{tmp_path}/empty.db').run()


def test_a_broker_that_never_was(tasks: TaskDatabase, running: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(Broker('redis', 'redis://:hush@127.0.0.1:1/0', {}))
    running(Monitor(app, tasks.url))
    wait_until(lambda: 'The broker is away' in caplog.text, 'the failure')
    assert 'Connection refused' in caplog.text
    assert 'hush' not in caplog.text


@pytest.mark.parametrize('broker', ['redis', 'amqp'], indirect=True)
def test_a_broker_that_falls_silent(
    broker: Broker,
    tasks: TaskDatabase,
    running: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker.options.update(dict.fromkeys(BROKER[broker.name], 1))
    app = make_app(broker, broker_heartbeat=2)
    app.conf.broker_url = broker.proxied_url
    caplog.set_level(logging.INFO)
    running(Monitor(app, tasks.url))
    wait_until(lambda: 'Ready: ' in caplog.text, 'the monitor')
    broker.mute()
    wait_until(lambda: 'The broker is away' in caplog.text, 'the silence to be noticed')
    make_app(broker).send_task('export.project')
    wait_until(lambda: tasks.count() == 1, 'the message to be stored')


@pytest.mark.parametrize('broker', ['redis', 'amqp'], indirect=True)
def test_each_server_of_a_list_is_tried(broker: Broker, tasks: TaskDatabase, running: Any) -> None:
    app = make_app(broker)
    app.send_task('export.project')
    scheme = broker.url.partition('://')[0]
    app.conf.broker_url = [f'{scheme}://127.0.0.1:1//', f'{scheme}://127.0.0.1:2//', broker.url]
    running(Monitor(app, tasks.url))
    wait_until(lambda: tasks.count() == 1, 'the message to be stored')


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_sqs_says_that_it_is_away(
    broker: Broker,
    tasks: TaskDatabase,
    running: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AWS answers so when it is too busy; the test's server never is."""
    answers = iter([ClientError({'Error': {'Code': 'ServiceUnavailable', 'Message': 'try later'}}, 'ListQueues')])

    def open_later(*arguments: Any) -> Any:
        for error in answers:
            raise error
        return open_source(*arguments)

    monkeypatch.setattr(loop, 'open_source', open_later)
    app = make_app(broker)
    app.send_task('export.project')
    running(Monitor(app, tasks.url))
    wait_until(lambda: tasks.count() == 1, 'the message to be stored')
    assert 'The broker is away' in caplog.text
    assert 'try later' in caplog.text


class Endless:
    """A source to which somebody always sends more."""

    errors = ()

    def __init__(self, *backlog: bool) -> None:
        self.backlog = list(backlog)
        self.done: list[str] = []
        self.held: list[tuple[int, float, bool]] = []
        self.released: list[int] = []
        self.ready: Path | None = None

    def mark(self) -> None: ...

    def has_backlog(self) -> bool:
        return self.backlog.pop(0) if self.backlog else False

    def receive(self) -> list[Message]:
        assert len(self.done) < 10
        return [message(str(len(self.done)))]

    def fetch_ahead(self, is_done: Any) -> None: ...

    def hold(self, messages: Any, seconds: float) -> None:
        # While a batch is being stored, the monitor holds it for no time at all.
        if seconds:
            self.held.append((len(messages), seconds, self.ready is not None and self.ready.exists()))

    def acknowledge(self, messages: list[Message]) -> None:
        self.done += [str(found.headers['id']) for found in messages]

    def release(self, messages: Any) -> None:
        self.released.append(len(messages))

    def waiting(self) -> int:
        return 7


@memory
def test_once_is_as_far_as_the_queue_went_at_the_start(
    broker: Broker, tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It tells how far it has read, and a database that is away holds it up only."""
    caplog.set_level(logging.INFO)
    source = Endless(True, True, True, False)
    answers = iter([GONE, GONE])
    pauses: list[float] = []

    def open_later(*arguments: Any) -> Any:
        for error in answers:
            raise error
        return source

    monkeypatch.setattr(loop, 'open_source', open_later)
    monkeypatch.setattr(progress, 'INTERVAL', 0.0)
    monkeypatch.setattr(base.Limits, 'sleep', lambda self, seconds: pauses.append(seconds))
    Monitor(make_app(broker), tasks.url, once=True).run()
    assert pauses == [0.5, 1]
    assert source.done == sorted(tasks.tasks())
    assert len(source.done) < 5
    assert source.released == [0]
    (row,) = tasks.execute('SELECT caught_up, ended FROM celery_monitor')
    assert row['caught_up'] is not None
    assert row['ended'] is not None
    assert caplog.messages[1].startswith('The database is away, next try in 1 s: ')
    assert caplog.messages[2] == 'Ready: storing what the platform queue holds'
    assert caplog.messages[3].endswith(' 7 waiting in the platform queue')


def fail_at(monkeypatch: pytest.MonkeyPatch, method: str, number: int, error: Exception, act: Any = None) -> None:
    """Lets the call of this number of a method of the store fail, and acts before."""
    call, numbers = getattr(Store, method), iter(range(1, 1000))

    def fail(*arguments: Any, **options: Any) -> Any:
        if next(numbers) == number:
            if act is not None:
                act()
            raise error
        return call(*arguments, **options)

    monkeypatch.setattr(Store, method, fail)


# The first word of a monitor is that it is there.
@memory
@pytest.mark.parametrize(('method', 'number', 'held'), [('write', 1, 1), ('tell', 2, 0)])
def test_a_monitor_is_well_again_when_its_database_is(
    broker: Broker,
    tasks: TaskDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    number: int,
    held: int,
) -> None:
    """It keeps its connection to the broker, and its messages."""
    caplog.set_level(logging.INFO)
    source, opened, ready = Endless(), [], tmp_path / 'ready'
    monkeypatch.setattr(loop, 'open_source', lambda *arguments: opened.append(1) or source)
    monitor = Monitor(make_app(broker), tasks.url, once=True, ready_file=ready)
    source.ready = ready
    fail_at(monkeypatch, method, number, GONE)
    monitor.run()
    assert (len(opened), source.held, source.done, source.released) == (1, [(held, 0.5, False)], ['0'], [0])
    assert tasks.count() == 1
    assert (monitor.tally.trouble, monitor.tally.errors['database']) == (None, 1)
    texts = [text.partition(',')[0] for text in caplog.messages]
    ready = 'Ready: storing what the platform queue holds'
    assert texts == [ready, 'The database is away', ready]


@memory
def test_a_monitor_that_stops_while_its_database_is_away_gives_its_messages_back(
    broker: Broker, tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Endless(True)
    monkeypatch.setattr(loop, 'open_source', lambda *arguments: source)
    monitor = Monitor(make_app(broker), tasks.url)
    fail_at(monkeypatch, 'write', 1, GONE, monitor.stop)
    monitor.run()
    assert (source.held, source.done, source.released) == ([], [], [1])


@memory
def test_an_error_of_the_monitors_own_ends_it(
    broker: Broker, tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Endless(True)
    monkeypatch.setattr(loop, 'open_source', lambda *arguments: source)
    fail_at(monkeypatch, 'write', 1, KeyError('a fault'))
    with pytest.raises(KeyError):
        Monitor(make_app(broker), tasks.url).run()
    assert (source.done, source.released) == ([], [1])


@memory
def test_messages_without_a_tag_of_their_own_go_back(broker: Broker) -> None:
    app = make_app(broker)
    with connection_of(app) as connection:
        source = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(10, 0, lambda: False))
        envelopes = [
            {'body': str(number), 'properties': properties}
            for number, properties in enumerate([{}, {}, {'delivery_tag': 'a'}, {'delivery_tag': 'a'}])
        ]
        for envelope in envelopes:
            connection.default_channel._put(PLATFORM_QUEUE, envelope)
        source.release(source.receive())
        assert {message.body for message in source.receive()} == {b'0', b'1', b'2', b'3'}


@memory
def test_a_ready_file_that_cannot_be_written(broker: Broker, tasks: TaskDatabase, tmp_path: Path) -> None:
    with pytest.raises(NotUsable, match='ready file cannot be written'):
        Monitor(make_app(broker), tasks.url, ready_file=tmp_path / 'missing' / 'ready').run()


@memory
def test_signals(broker: Broker, tasks: TaskDatabase, tmp_path: Path) -> None:
    ready = tmp_path / 'ready'
    before, interrupt = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monitor = Monitor(make_app(broker), tasks.url, ready_file=ready)
    with monitor.stopped_by_signals():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        monitor.run()
        # A second signal does what it always did.
        assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGINT) == interrupt
    assert not ready.exists()


@served
def test_rate_and_lag_are_logged(
    broker: Broker,
    tasks: TaskDatabase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(progress, 'INTERVAL', 0.0)
    caplog.set_level(logging.INFO, 'cadasta')
    app = make_app(broker)
    for _ in range(15):
        app.send_task('export.project')
    drain(broker, app, tasks, batch=10)
    # RabbitMQ may take its time: how many came at once is up to it.
    reported = [int(number) for number in re.findall(r'(\d+) tasks in ', caplog.text)]
    assert sum(reported) == 15
    assert 0 < max(reported) <= 10
    assert '0 messages rejected, ' in caplog.text
    assert '0 waiting in the platform queue' in caplog.text


def test_a_report_is_of_what_came_since_the_last(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, 'cadasta')
    now = 1000.0
    monkeypatch.setattr(progress, 'time', SimpleNamespace(monotonic=lambda: now))
    told = progress.Progress(None)
    told.begin()
    for stored in (Stored(3, 1), Stored(4, 2)):
        told.add(stored)
        now += 14
        told.report(lambda: 8)
    assert caplog.messages == ['Ready: storing what the platform queue holds']
    now += 30
    told.report(lambda: 8)
    now += 30
    told.report(lambda: 9)
    assert caplog.messages[1:] == [
        '7 tasks in 58 s (0.1/s), 3 messages rejected, 8 waiting in the platform queue',
        '0 tasks in 30 s (0.0/s), 0 messages rejected, 9 waiting in the platform queue',
    ]


@memory
def test_the_lag_on_other_transports(broker: Broker) -> None:
    app = make_app(broker)
    app.send_task('export.project')
    with broker.connect() as connection:
        source = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(1, 0, lambda: False))
        assert source.waiting() == 1


def test_the_ready_file_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / 'ready'
    told = progress.Progress(ready)
    told.begin()
    os.utime(ready, (1, 1))
    told.report(lambda: 0)
    assert ready.stat().st_mtime == 1
    monkeypatch.setattr(progress, '_TOUCH_INTERVAL', 0.0)
    told.report(lambda: 0)
    assert ready.stat().st_mtime > 1
    told.end()
    told.end()
    assert not ready.exists()


@pytest.mark.parametrize('broker', ['memory', 'redis', 'amqp'], indirect=True)
def test_large_messages_make_small_batches(broker: Broker) -> None:
    app = make_app(broker)
    body = 'x' * (MAX_BATCH_BYTES // 16)
    for _ in range(20):
        app.send_task('export.project', (body,))
    with broker.connect() as connection:
        source = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(100, 0.2, lambda: False))
        sizes = []
        while messages := source.receive():
            sizes.append(len(messages))
            source.acknowledge(messages)
    assert sum(sizes) == 20
    assert max(sizes) <= 17


def test_ending_does_not_wait_for_the_linger() -> None:
    limits = Limits(1, 0, lambda: True)
    start = time.monotonic()
    limits.sleep(60)
    assert time.monotonic() - start < 5


def calls_for(server: SQS, app: Any, tasks: TaskDatabase) -> int:
    before = sum(server.calls().values())
    Monitor(app, tasks.url, once=True, linger=5).run()
    return sum(server.calls().values()) - before


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
class TestSQS:
    def test_a_quarter_of_a_call_for_each_task(self, broker: Broker, sqs_server: SQS, tasks: TaskDatabase) -> None:
        app = make_app(broker)
        for _ in range(100):
            app.send_task('export.project')
        assert calls_for(sqs_server, app, tasks) <= 25
        assert tasks.count() == 100

    def test_what_is_not_deleted_comes_again(
        self,
        broker: Broker,
        tasks: TaskDatabase,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        app = make_app(broker)
        broker.options['visibility_timeout'] = 1
        result = app.send_task('export.project')
        with broker.connect() as connection:
            source: Any = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(10, 0, lambda: False))
            first = source.receive()
            source._current.messages = [message._replace(receipt='stale') for message in source._current.messages]
            source.acknowledge(first)
            again = wait_until(source.receive, 'the message to be visible again')
            assert 'SQS did not delete a message' in caplog.text
            assert again[0].headers['id'] == result.id
            source.acknowledge(again)
            source.release(())
        assert broker.count(PLATFORM_QUEUE) == 0

    def test_it_rests_where_polls_are_short(self, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
        app = make_app(broker)
        naps: list[float] = []
        monkeypatch.setattr(base.Limits, 'sleep', lambda self, seconds: naps.append(seconds))
        with broker.connect() as connection:
            source = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(10, 0, lambda: False))
            assert not source.receive()
        assert naps == [broker.options['polling_interval']]
