"""When a message was sent, message groups on SQS, and set-up at worker start only for apps that use Config."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import kombu.pools
import pytest
from celery import Celery, Task, _state
from celery.signals import before_task_publish, worker_init, worker_process_init
from kombu.transport import memory, virtual

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import BadTaskId

ID = '0a6bd8f2-1234-4d5c-9d8e-1f2a3b4c5d6e'


class Broker(memory.Transport):
    """A broker of its own for each connection."""

    sent: list[dict[str, Any]]

    class Channel(memory.Channel):
        def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
            Broker.sent.append(message)

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = virtual.BrokerState()


class Worker:
    def __init__(self, app: Celery) -> None:
        self.app = app


@pytest.fixture
def grouped() -> Celery:
    # A connection that another test has used knows the queues of that test.
    kombu.pools.reset()
    app = Celery('test', set_as_current=False)
    configure(app)
    Broker.sent = []
    return app


def configure(app: Celery, **settings: Any) -> None:
    """Configures an app for Amazon SQS, and has it send to the broker here."""
    app.config_from_object(Config(result_backend=None, task_ignore_result=True, **settings))
    app.conf.broker_transport = Broker


def groups() -> list[str | None]:
    return [message['properties'].get('MessageGroupId') for message in Broker.sent]


@pytest.mark.parametrize('protocol', [1, 2])
def test_a_message_says_when_it_was_sent(grouped: Celery, protocol: int) -> None:
    grouped.conf.task_protocol = protocol
    before = datetime.now(UTC)
    # A retry takes the headers of its task along.
    grouped.send_task('export.project', headers={'sent': '2020-01-01T00:00:00+00:00', 'tenant': 7})
    headers = [message['headers'] for message in Broker.sent]
    assert before <= datetime.fromisoformat(headers[0]['sent']) <= datetime.now(UTC)
    assert [(found['sent'], found['tenant']) for found in headers] == 2 * [(headers[0]['sent'], 7)]


def test_no_message_expires_before_it_is_tracked(grouped: Celery) -> None:
    grouped.send_task('export.project', expires=60)
    grouped.send_task('export.project', expiration=60)
    assert [message['properties'].get('expiration') for message in Broker.sent] == 4 * [None]
    assert Broker.sent[0]['headers']['expires']


def test_a_message_is_grouped_by_the_root_of_its_tree(grouped: Celery) -> None:
    grouped.send_task('export.project', root_id=ID)
    grouped.send_task('export.project', task_id='one')
    assert groups() == [ID, None, 'one', None]


def test_an_explicit_group_is_kept(grouped: Celery) -> None:
    grouped.send_task('export.project', MessageGroupId='mine')
    assert groups() == ['mine', None]


def test_a_fifo_work_queue_gets_the_group_too(grouped: Celery) -> None:
    configure(grouped, QUEUES=['export.fifo'])
    grouped.send_task('export.project', task_id='one')
    grouped.send_task('export.project', MessageGroupId='mine')
    assert groups() == ['one', 'one', 'mine', 'mine']


def test_standard_queues_get_the_group_where_they_are_to_be_fair(grouped: Celery) -> None:
    configure(grouped, FAIR_QUEUES=True)
    grouped.send_task('export.project', task_id='one')
    grouped.send_task('export.project', MessageGroupId='tenant-7')
    assert groups() == ['one', 'one', 'tenant-7', 'tenant-7']


def test_each_app_decides_for_itself_on_a_connection_that_it_shares(grouped: Celery) -> None:
    fair = Celery('fair', set_as_current=False)
    configure(fair, FAIR_QUEUES=True)
    with grouped.connection_for_write() as connection:
        for app in (grouped, fair, grouped):
            app.send_task('export.project', task_id='one', connection=connection)
        plain = Celery('plain', set_as_current=False, task_ignore_result=True)
        plain.send_task('any', queue='export', connection=connection, MessageGroupId='theirs')
    assert groups() == ['one', None, 'one', 'one', 'one', None, 'theirs']


def test_messages_of_the_old_protocol_are_grouped_by_their_id(grouped: Celery) -> None:
    grouped.conf.task_protocol = 1
    grouped.send_task('export.project', task_id='one')
    assert groups() == ['one', None]


@pytest.mark.parametrize('root_id', ['x' * 129, 'a b', 'é'])
def test_an_id_that_sqs_refuses_is_no_group(grouped: Celery, root_id: str) -> None:
    grouped.send_task('export.project', root_id=root_id)
    assert groups() == [None, None]


def test_messages_to_other_brokers_are_not_grouped() -> None:
    app = Celery('test', set_as_current=False)
    app.config_from_object(Config(broker_transport=Broker, result_backend=None, task_ignore_result=True))
    Broker.sent = []
    app.send_task('export.project')
    assert groups() == [None, None]


def test_messages_of_other_apps_are_left_alone() -> None:
    properties: dict[str, Any] = {}
    for declare in (None, [], [object()]):
        before_task_publish.send(sender='x', headers={'root_id': 'one'}, properties=properties, declare=declare)
    assert properties == {}


def test_a_worker_of_an_app_with_a_config_is_set_up() -> None:
    app = Celery('test', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', CHORD_UNLOCK_MAX_RETRIES=7))
    assert app.conf.CHORD_UNLOCK_MAX_RETRIES == 7
    worker_init.send(sender=Worker(app))
    assert app.is_set_up
    assert app.tasks['celery.chord_unlock'].max_retries == 7


def test_a_worker_of_another_app_is_left_alone() -> None:
    app = Celery('test', set_as_current=False, broker='memory://')
    app.conf.update(Config(broker_url='memory://').to_dict())
    worker_init.send(sender=Worker(app))
    assert not hasattr(app, 'is_set_up')
    assert app.tasks['celery.chord_unlock'].max_retries is None


def run() -> None: ...


@pytest.fixture
def current() -> Iterator[Callable[[Celery], None]]:
    """Makes an app the current one, as Celery does in a child of a worker."""
    kept = dict(vars(_state._tls))
    yield Celery.set_current
    vars(_state._tls).clear()
    vars(_state._tls).update(kept)


def test_a_child_that_was_not_forked_is_set_up(current: Callable[[Celery], None]) -> None:
    class Hooked(Task):
        def before_start(self, task_id: str, args: Any, kwargs: Any) -> None: ...

    app = Celery('test', set_as_current=False)
    app.config_from_object(Config(result_backend='db+sqlite://', broker_url='memory://', CHORD_UNLOCK_MAX_RETRIES=7))
    app.task(run, name='export.project', base=Hooked, shared=False)
    task = app.tasks['export.project']
    current(app)
    worker_process_init.send(sender='worker@here')
    traced = task.__trace__
    assert app.tasks['celery.chord_unlock'].max_retries == 7
    assert type(task).before_start is not Hooked.before_start
    # A child that was forked has all of this.
    worker_process_init.send(sender='worker@here')
    assert task.__trace__ is traced


def test_a_child_without_a_database_has_limits_alone(current: Callable[[Celery], None]) -> None:
    app = Celery('test', set_as_current=False)
    app.config_from_object(Config(result_backend='rpc://', broker_url='memory://', CHORD_UNLOCK_MAX_RETRIES=7))
    app.task(run, name='export.project', shared=False)
    task = app.tasks['export.project']
    current(app)
    worker_process_init.send(sender='worker@here')
    assert app.tasks['celery.chord_unlock'].max_retries == 7
    assert task.__trace__ is None


def test_a_child_of_another_app_is_left_alone(current: Callable[[Celery], None]) -> None:
    app = Celery('test', set_as_current=False, broker='memory://')
    current(app)
    worker_process_init.send(sender='worker@here')
    assert app.tasks['celery.chord_unlock'].max_retries is None


@pytest.mark.parametrize('task_id', ['L' * 156, 'a\0b', '\ud800'])
def test_an_id_that_no_table_can_hold_is_refused(grouped: Celery, task_id: str) -> None:
    with pytest.raises(BadTaskId, match='must be text of 1 to 155 characters'):
        grouped.send_task('export.project', task_id=task_id)
    assert not Broker.sent
    grouped.send_task('export.project', task_id='L' * 155)
    assert len(Broker.sent) == 2
