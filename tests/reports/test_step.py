"""The step of a worker, beside a worker that does nothing, and with brokers that are away."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, bootsteps
from celery.concurrency.solo import TaskPool as Solo
from kombu.utils.imports import symbol_by_name

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.reports import report_regularly, step
from cadasta.workertoolbox.reports import sender as sender_module
from cadasta.workertoolbox.reports.message import HEADER, WorkerReport, from_body
from cadasta.workertoolbox.reports.sender import EXPIRES, Sender
from cadasta.workertoolbox.reports.step import Report
from cadasta.workertoolbox.seams.kombu_virtual import GROUP
from cadasta.workertoolbox.setup import leave_platform_queue
from rig.servers.memory import MemoryBroker
from rig.servers.process import free_port, wait_until

from .reports import report


def app_on(**settings: Any) -> Celery:
    app = Celery('reporting', set_as_current=False)
    app.config_from_object(Config(QUEUES=['b', 'a'], **settings))
    return app


class Sent(list[WorkerReport]):
    """Takes the place of a sender. It fails as often as it is told."""

    failures = 0

    def send(self, report: WorkerReport) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError('amqp://ada:hush@localhost is away')
        self.append(report)

    def close(self) -> None: ...


def worker(**settings: Any) -> Any:
    app = app_on(broker_url='memory://', **settings)
    leave_platform_queue(app)
    return SimpleNamespace(
        app=app,
        hostname='x' * 300,
        pool=Solo(),
        concurrency=1,
        blueprint=SimpleNamespace(state=bootsteps.RUN),
    )


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    found = Sent()
    monkeypatch.setattr(step, 'Sender', lambda app: found)
    return found


def ended(parent: Any, reporting: Report) -> None:
    parent.blueprint.state = bootsteps.TERMINATE
    reporting.stop(parent)
    reporting._thread.join(60)
    assert not reporting._thread.is_alive()


def test_an_app_has_the_step_once() -> None:
    app = Celery('test', set_as_current=False)
    report_regularly(app)
    report_regularly(app)
    (name,) = app.steps['worker']
    assert symbol_by_name(name) is Report


def test_from_the_start_until_the_last_task_has_ended(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, 'EVERY', 0.1)
    parent = worker()
    reporting = Report(parent)
    reporting.start(parent)
    # The worker stops, and its last task goes on.
    reporting.stop(parent)
    wait_until(lambda: len(sent) >= 3, 'reports of a worker that stops')
    ended(parent, reporting)
    assert [item.number for item in sent] == list(range(1, len(sent) + 1))
    assert [item.is_last for item in sent] == [False] * (len(sent) - 1) + [True]
    assert from_body(sent[0]._asdict()).queues == ['a', 'b', 'celery']


def test_the_end_of_the_process_is_the_end_of_the_worker(sent: Sent) -> None:
    parent = worker()
    reporting = Report(parent)
    reporting.start(parent)
    reporting._wait()
    assert sent[-1].is_last


def test_a_worker_on_many_queues(sent: Sent) -> None:
    parent = worker()
    parent.app.amqp.queues.select([])
    for number in range(300):
        parent.app.amqp.queues.select_add(f'{number:03}{"x" * 300}')
    reporting = Report(parent)
    reporting.start(parent)
    ended(parent, reporting)
    assert from_body(sent[0]._asdict()).queues[-1].startswith('199x')


@pytest.mark.parametrize(('accepted', 'running', 'done'), [(7, 3, 4), (0, 1, 0)])
def test_how_many_tasks_have_ended(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, accepted: int, running: int, done: int
) -> None:
    """Celery counts a task a moment after it has noted that the task runs."""
    monkeypatch.setattr(step, 'accepted', lambda: accepted)
    monkeypatch.setattr(step, 'active', lambda: dict.fromkeys(range(running)))
    parent = worker()
    reporting = Report(parent)
    reporting.start(parent)
    ended(parent, reporting)
    assert (sent[-1].active, sent[-1].done) == (running, done)


def test_a_broker_that_is_away_is_named_once(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(step, 'EVERY', 0.01)
    sent.failures = 3
    parent = worker()
    reporting = Report(parent)
    with caplog.at_level(logging.WARNING):
        reporting.start(parent)
        wait_until(lambda: sent, 'the first report that arrives')
        ended(parent, reporting)
    assert sent[0].number == 4
    (text,) = [record.getMessage() for record in caplog.records]
    assert text == (
        'The worker cannot report to the platform queue; it tries again every 0.01 s: amqp://********@localhost is away'
    )


@pytest.mark.process
@pytest.mark.parametrize('url', ['amqp://guest:guest@127.0.0.1:{port}//', 'redis://127.0.0.1:{port}/0'])
def test_a_sender_raises_what_the_client_raises_and_begins_anew(url: str) -> None:
    sender = Sender(app_on(broker_url=url.format(port=free_port())))
    for _ in range(2):
        with pytest.raises(Exception, match='refused'):
            sender.send(report())
        assert sender._connection is None
    sender.close()


def test_in_memory_a_report_is_in_the_platform_queue_alone() -> None:
    broker = MemoryBroker()
    app = app_on(**broker.settings)
    app.send_task('a.task', task_id='1')
    sender = Sender(app)
    thread = threading.Thread(target=sender.send, args=(report(),))
    thread.start()
    thread.join()
    found = broker.drain('platform.fifo')
    assert [message.headers.get('id') for message in found] == ['1', None]
    assert found[1].headers[HEADER] == 1
    sender.send(report())
    assert broker.count('platform.fifo') == 1
    assert broker.count('a') == 1
    sender.close()


def test_what_rabbitmq_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report goes to the exchange of tasks. RabbitMQ keeps the last one of a worker until somebody has read it."""
    published: list[dict[str, Any]] = []

    def publish(body: Any, **options: Any) -> None:
        published.append(options)

    monkeypatch.setattr(sender_module, 'Producer', lambda channel, auto_declare: SimpleNamespace(publish=publish))
    sender = Sender(app_on(**MemoryBroker().settings))
    made = report()
    sender.send(made)
    sender._is_virtual = False
    for item in (made, made._replace(is_last=True)):
        sender.send(item)
    sender.close()
    key = f'worker.{made.boot}'
    assert [(found['exchange'], found['routing_key'], found['expiration'], GROUP in found) for found in published] == [
        ('', 'platform.fifo', EXPIRES, True),
        ('task_exchange', key, EXPIRES, False),
        ('task_exchange', key, None, False),
    ]


@pytest.mark.parametrize('is_away', [True, False])
def test_a_sender_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch, is_away: bool) -> None:
    """After an error it opens another one, which may be to another server."""
    sender = Sender(app_on(**MemoryBroker().settings))
    sender.send(report())
    connection = sender._connection
    assert connection.connected
    if is_away:
        monkeypatch.setattr(sender, '_publish', lambda made: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sender.send(report())
    else:
        sender.close()
    assert sender._connection is None
    assert not connection.connected


def test_a_worker_may_be_told_not_to_report() -> None:
    from cadasta.workertoolbox.signals import set_up_worker

    for settings, count in (({}, 1), ({'REPORT': False}, 0)):
        app = app_on(**MemoryBroker().settings, **settings)
        set_up_worker(SimpleNamespace(app=app))
        assert sum('reports' in name for name in app.steps['worker']) == count
