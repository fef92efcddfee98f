"""A batch has the tasks that its block publishes: all of them, no others, or none where the block raises an error."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import gevent
import kombu.pools
import pytest
from celery import Celery, chain, chord, group
from celery._state import _task_stack
from celery.exceptions import Ignore, SoftTimeLimitExceeded
from celery.local import Proxy
from celery.signals import before_task_publish
from kombu.exceptions import EncodeError
from kombu.transport.memory import Channel
from kombu.utils.collections import eqhash

from cadasta.workertoolbox import BadTaskId, Config, NotAllSent, NotConfigured, batch
from cadasta.workertoolbox.publishing import collecting
from cadasta.workertoolbox.publishing.collecting import Collection, Collector
from cadasta.workertoolbox.transports.amqp import NotConfirmed
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.environment import clean_environment
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import Processes

from .conftest import Make

#: Options of a call that change the parts of its message.
OPTIONS: list[dict[str, Any]] = [
    {'args': ('Zürich\0', [1, {'a': 2}])},
    {'serializer': 'yaml', 'compression': 'zlib', 'priority': 3},
    {'eta': datetime(2040, 1, 2, tzinfo=UTC), 'expires': datetime(2040, 1, 3, tzinfo=UTC), 'headers': {'x': 'y'}},
    {'routing_key': 'msg', 'link': [], 'shadow': 'seen', 'reply_to': 'me', 'time_limit': 3},
]

memory = pytest.mark.parametrize('broker', ['memory'], indirect=True)


def send(app: Celery, task_id: str, **options: Any) -> None:
    app.send_task('export.project', task_id=task_id, **options)


def send_together(app: Celery, *task_ids: str, error: type[BaseException] | None = None) -> None:
    with batch(app):
        for task_id in task_ids:
            send(app, task_id)
        if error is not None:
            raise error


def parts_of_both(channel: Any, options: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Takes a task's messages from its two queues, and gives the parts that do not differ from one task to another."""
    for queue in (PLATFORM_QUEUE, options.get('routing_key', 'export')):
        message = channel.basic_get(queue, no_ack=True)
        properties = {name: value for name, value in message.properties.items() if name != 'delivery_tag'}
        headers = {name: value for name, value in message.headers.items() if name != 'sent'}
        yield message.body, message.content_type, message.content_encoding, headers, properties


def ids(broker: Broker, queue: str = 'export') -> list[str]:
    return [message.headers['id'] for message in broker.drain(queue)]


@memory
def test_tasks_are_sent_at_the_end(app: Celery, broker: Broker) -> None:
    with batch(app):
        results = [app.send_task('export.project', (number,)) for number in range(3)]
        assert broker.count('export') == broker.count(PLATFORM_QUEUE) == 0
        expected = [result.id for result in results]
        assert len(set(expected)) == 3
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == expected
    send(app, 'after')
    assert ids(broker) == ['after']


@memory
def test_a_proxy_stands_for_its_app(app: Celery, broker: Broker) -> None:
    with batch(Proxy(lambda: app)):
        send(app, '1')
        assert broker.count('export') == 0
    assert ids(broker) == ['1']


@memory
@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_nothing_is_sent_where_the_block_raises(app: Celery, broker: Broker, error: type[BaseException]) -> None:
    with pytest.raises(error):
        send_together(app, '1', error=error)
    send(app, 'after')
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['after']


@memory
def test_ignore_is_no_failure(app: Celery, broker: Broker) -> None:
    """Task.replace() raises it when it has published the replacement."""
    with pytest.raises(Ignore):
        send_together(app, '1', error=Ignore)
    assert ids(broker) == ['1']


@memory
def test_the_retry_of_the_task_that_runs_is_sent_at_once(app: Celery, broker: Broker) -> None:
    """After it is sent, an error ends the block. Messages of others, and others of its own, are no retry of it."""
    running = app.tasks['celery.backend_cleanup']
    running.push_request(id='1', retries=1)
    _task_stack.push(running)
    try:
        with batch(app):
            for task_id, retries in (('2', 2), ('1', 1), ('1', 2), ('3', 0)):
                send(app, task_id, retries=retries)
            assert ids(broker) == ['1']
    finally:
        _task_stack.pop()
        running.pop_request()
    assert ids(broker) == ['2', '1', '3']


@memory
def test_an_empty_block_connects_to_nothing(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, 'producer_or_acquire', None)
    with batch(app):
        pass


@memory
def test_a_batch_within_a_batch(app: Celery, broker: Broker) -> None:
    with batch(app):
        send(app, '1')
        with batch(app):
            send(app, '2')
        with suppress(ValueError), batch(app):
            send(app, 'dropped')
            raise ValueError
        send(app, '3')
        assert broker.count(PLATFORM_QUEUE) == 0
    assert ids(broker) == ['1', '2', '3']


@memory
def test_another_app_is_no_part_of_it(app: Celery, broker: Broker, make: Make) -> None:
    other = make()
    with batch(app):
        send(other, 'at once')
        assert ids(broker) == ['at once']
        with batch(other):
            send(app, '1')
            send(other, '2')
        assert ids(broker) == ['2']
    assert ids(broker) == ['1']


@memory
def test_canvases(app: Celery, broker: Broker) -> None:
    def signature(number: int) -> Any:
        return app.signature('export.project', (number,), app=app)

    total = app.signature('msg.total', app=app)
    with batch(app):
        chained = chain(signature(1), signature(2)).delay()
        grouped = group((signature(3), signature(4)), app=app).delay()
        joined = chord((signature(5), signature(6)), total, app=app).delay()
        assert broker.count(PLATFORM_QUEUE) == 0
    tracked = broker.drain(PLATFORM_QUEUE)
    known = [chained.parent.id, *(result.id for result in (*grouped.results, *joined.parent.results))]
    assert [message.headers['id'] for message in tracked[:5]] == known
    assert [message.headers['task'] for message in tracked[5:]] == ['celery.chord_unlock']
    assert tracked[0].body[2]['chain'][0]['options']['task_id'] == chained.id


@memory
@pytest.mark.parametrize('has_lost_a_race', [False, True])
def test_a_chord_that_finds_no_free_connection(make: Make, broker: Broker, has_lost_a_race: bool) -> None:
    """Two threads that begin at once may make two pools of connections: Celery keeps the one, and kombu the other."""
    app = make(broker_pool_limit=None if has_lost_a_race else 1)
    if has_lost_a_race:
        assert app.pool is kombu.pools.connections.pop(eqhash(app.connection_for_write()))
    with batch(app):
        chord([app.signature('export.project')], app.signature('msg.total', app=app), app=app).delay()
        assert broker.count(PLATFORM_QUEUE) == 0
    assert [message.headers['task'] for message in broker.drain(PLATFORM_QUEUE)][1:] == ['celery.chord_unlock']


@memory
@pytest.mark.parametrize('options', OPTIONS)
def test_a_message_is_as_it_would_be_alone(app: Celery, options: dict[str, Any]) -> None:
    channel = app.pool.connection.clone().channel()
    messages = []
    for together in (False, True):
        with batch(app) if together else ExitStack():
            send(app, 'one', **options)
        messages += parts_of_both(channel, options)
    assert messages[:2] == messages[2:]


@memory
def test_a_change_after_the_call_changes_no_message(app: Celery, broker: Broker) -> None:
    layers = [1]
    with batch(app):
        app.send_task('export.project', (layers,))
        layers.append(2)
    assert broker.drain('export')[0].body[0] == [[1]]


@memory
def test_an_error_of_a_call_is_raised_by_the_call(app: Celery, broker: Broker) -> None:
    with batch(app):
        send(app, '1')
        with pytest.raises(BadTaskId):
            send(app, 'L' * 156)
        with pytest.raises(EncodeError):
            send(app, '2', args=(object(),))
    assert ids(broker) == ['1']


@memory
def test_events_of_celery_are_sent_as_well(make: Make, broker: Broker) -> None:
    app = make(task_send_sent_event=True)
    with app.connection_for_read() as connection:
        seen: list[Any] = []
        receiver = app.events.Receiver(connection, handlers={'task-sent': seen.append})
        receiver.queue(connection.default_channel).declare()
        with batch(app):
            send(app, '1')
        receiver.capture(limit=1, timeout=60, wakeup=False)
    assert [event['uuid'] for event in seen] == ['1']


@memory
def test_celery_may_ask_for_the_connection(app: Celery) -> None:
    with app.producer_or_acquire() as producer:
        assert Collector(Collection(app, None), producer).connection is producer.connection


@memory
def test_a_connection_of_the_callers_own_gets_its_message_at_once(
    app: Celery, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = FilesystemBroker(tmp_path_factory.mktemp('other'))
    with other.connect() as elsewhere, app.producer_or_acquire() as producer, batch(app):
        send(app, 'elsewhere', connection=elsewhere)
        assert ids(other) == ['elsewhere']
        send(app, 'from the pool', producer=producer)
        assert broker.count('export') == 0
    other.close()
    assert ids(broker) == ['from the pool']


@memory
def test_threads_and_greenlets_are_apart(app: Celery, broker: Broker) -> None:
    def in_greenlet(name: str) -> None:
        with batch(app):
            send(app, f'{name}1')
            gevent.sleep(0)
            send(app, f'{name}2')

    with batch(app):
        thread = threading.Thread(target=send, args=(app, 'thread'))
        thread.start()
        thread.join()
        assert ids(broker) == ['thread']
    greenlets = [gevent.spawn(in_greenlet, name) for name in 'ab']
    gevent.joinall(greenlets, raise_error=True)
    assert ids(broker) == ['a1', 'a2', 'b1', 'b2']


@memory
def test_coroutines_are_apart(app: Celery, broker: Broker) -> None:
    async def publish(name: str) -> None:
        with batch(app):
            send(app, f'{name}1')
            await asyncio.sleep(0)
            send(app, f'{name}2')

    async def late(end: asyncio.Event) -> None:
        send(app, 'within')
        await end.wait()
        send(app, 'after')

    async def main() -> None:
        await asyncio.gather(publish('a'), publish('b'))
        assert ids(broker) == ['a1', 'a2', 'b1', 'b2']
        end = asyncio.Event()
        with batch(app):
            task = asyncio.create_task(late(end))
            await asyncio.sleep(0)
            assert broker.count('export') == 0
        assert ids(broker) == ['within']
        end.set()
        await task
        assert ids(broker) == ['after']

    asyncio.run(main())


@memory
def test_a_batch_that_ends_while_a_task_is_published(app: Celery, broker: Broker) -> None:
    """Another thread may run in the context of the batch."""
    stack = ExitStack()

    def end(**_: Any) -> None:
        stack.close()

    stack.enter_context(batch(app))
    before_task_publish.connect(end)
    try:
        send(app, '1')
    finally:
        before_task_publish.disconnect(end)
    assert ids(broker) == ['1']


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_forked_process_leaves_the_batch_to_its_parent(broker: Broker, processes: Processes) -> None:
    code = """
import os
from celery import Celery
from cadasta.workertoolbox import Config, batch

app = Celery('export')
app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://'))
with batch(app):
    app.send_task('export.project', task_id='of the parent')
    child = os.fork()
    if not child:
        app.send_task('export.project', task_id='of the child')
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    program = processes.start([sys.executable, '-c', code], clean_environment(**broker.environment))
    assert program.wait() == 0, program.log
    assert sorted(ids(broker)) == sorted(ids(broker, PLATFORM_QUEUE)) == ['of the child', 'of the parent']


def fail_at(number: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the memory transport take some messages only."""
    put, count = Channel._put, 0

    def fail(*args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count > number:
            raise error
        put(*args, **kwargs)

    monkeypatch.setattr(Channel, '_put', fail)


@memory
@pytest.mark.parametrize('retries', [True, False])
def test_the_error_names_the_tasks_that_were_not_sent(
    make: Make, broker: Broker, retries: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(task_publish_retry=retries, task_publish_retry_policy={'max_retries': 0})
    fail_at(3, ConnectionRefusedError('amqp://ada:hush@host is away'), monkeypatch)
    with pytest.raises(NotAllSent) as caught:
        send_together(app, *map(str, range(30)))
    assert caught.value.task_ids == tuple(str(number) for number in range(1, 30))
    assert str(caught.value) == (
        '29 of the 30 messages of a batch may not have been sent: amqp://********@host is away. Mend that, and call '
        'these tasks once more, whose ids the attribute task_ids has: '
        f'{", ".join(str(number) for number in range(1, 21))} and 9 more'
    )
    assert ids(broker) == ['0']
    # The platform knows of one more, which was scheduled and never sent.
    assert ids(broker, PLATFORM_QUEUE) == ['0', '1']


@memory
def test_a_time_limit_is_no_failure_of_the_broker(app: Celery, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(0, SoftTimeLimitExceeded(), monkeypatch)
    with pytest.raises(SoftTimeLimitExceeded), batch(app):
        send(app, '1')


def test_the_app_needs_a_config() -> None:
    with pytest.raises(NotConfigured, match="App 'plain' is not configured by a Config"), batch(Celery('plain')):
        pass


def test_a_broker_that_is_away_is_no_reason_to_wait_for_ever() -> None:
    app = Celery('export', set_as_current=False)
    policy = {'max_retries': 1, 'interval_start': 0, 'interval_step': 0}
    app.config_from_object(
        Config(QUEUES=['export'], broker_url='amqp://ada:hush@127.0.0.1:1', task_publish_retry_policy=policy)
    )
    with pytest.raises(NotAllSent, match='Connection refused') as caught, batch(app):
        send(app, '1')
    assert caught.value.task_ids == ('1',)
    assert 'hush' not in str(caught.value)


@memory
@pytest.mark.parametrize(('error', 'is_unconfirmed'), [(NotConfirmed('within 30 s'), True), (ValueError('7'), False)])
def test_who_was_not_sent_and_who_was_not_confirmed(
    app: Celery, monkeypatch: pytest.MonkeyPatch, error: Exception, is_unconfirmed: bool
) -> None:
    """A task that RabbitMQ has not confirmed may have been sent."""
    fail_at(0, error, monkeypatch)
    with pytest.raises(NotAllSent) as raised:
        send_together(app, '1')
    assert raised.value.task_ids == ('1',)
    assert isinstance(raised.value, NotConfirmed) == is_unconfirmed


@memory
def test_a_child_of_the_process_has_no_part_in_a_batch(
    app: Celery, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it publishes is sent at once, and it does not send what its parent will send."""
    with monkeypatch.context() as patch, batch(app):
        send(app, 'of the parent')
        patch.setattr(collecting, 'os', SimpleNamespace(getpid=lambda: 0))
        send(app, 'of the child')
        assert ids(broker) == ['of the child']
    assert ids(broker) == []
