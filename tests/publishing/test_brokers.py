"""How a batch reaches each broker: in few calls, the platform first, and with the tasks named that a broker refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Exchange, Queue

from cadasta.workertoolbox import NotAllSent, NotConfirmed, batch
from cadasta.workertoolbox.transports import sqs_batch
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.rabbitmq import RabbitMQ
from rig.servers.redis import Redis
from rig.servers.sqs import SQS, SQSBroker

from .conftest import Make

amqp, sqs = (pytest.mark.parametrize('broker', [name], indirect=True) for name in ('amqp', 'sqs'))
on_redis = pytest.mark.parametrize('broker', ['redis'], indirect=True)

IDS = [f'{number:03}' for number in range(100)]


def send_together(app: Celery, task_ids: list[str], **options: Any) -> None:
    with batch(app):
        for task_id in task_ids:
            app.send_task('export.project', task_id=task_id, **options)


def not_sent(app: Celery, task_ids: list[str], **options: Any) -> NotAllSent:
    with pytest.raises(NotAllSent) as caught:
        send_together(app, task_ids, **options)
    return caught.value


def ids(broker: Broker, queue: str = 'export') -> list[str]:
    return [message.headers['id'] for message in broker.drain(queue)]


@pytest.fixture
def server(sqs_server: SQS) -> Iterator[SQS]:
    yield sqs_server
    sqs_server.fail()


@sqs
def test_sqs_takes_ten_messages_a_call(app: Celery, broker: SQSBroker, server: SQS) -> None:
    app.send_task('export.project', task_id='before')
    before = server.calls()
    send_together(app, IDS)
    calls = {action: count - before.get(action, 0) for action, count in server.calls().items()}
    assert {action: count for action, count in calls.items() if count} == {'SendMessageBatch': 20}
    tracked = broker.receive(PLATFORM_QUEUE)
    assert {message['Attributes']['MessageGroupId'] for message in tracked} == {'before', *IDS}
    work = broker.receive('export')
    assert len(work) == 101
    # This queue is no fair queue, which would cost more.
    assert not any('MessageGroupId' in message['Attributes'] for message in work)


@sqs
def test_sqs_keeps_the_order_of_a_group(app: Celery, broker: SQSBroker, server: SQS) -> None:
    server.fail(answer='last is busy', action='SendMessageBatch', prefix=broker.prefix)
    send_together(app, IDS[:20], root_id='root')
    # The last message of the first ten comes before the next ten.
    assert ids(broker, PLATFORM_QUEUE)[:10] == IDS[:10]
    assert sorted(ids(broker)) == IDS[:20]


@sqs
def test_a_call_of_sqs_is_no_longer_than_a_mebibyte(app: Celery, broker: SQSBroker, server: SQS) -> None:
    app.send_task('export.project')
    before = server.calls().get('SendMessageBatch', 0)
    # In base64 twice, a third of a mebibyte and more: two fit.
    attributes = {'tenant': {'DataType': 'Binary', 'BinaryValue': b'\0' * 1000}}
    send_together(app, IDS[:4], args=('x' * 200_000,), message_attributes=attributes)
    assert server.calls()['SendMessageBatch'] - before == 4
    assert sorted(ids(broker))[:4] == IDS[:4]


@sqs
def test_sqs_takes_no_task_whose_copy_it_refuses(app: Celery, broker: SQSBroker, server: SQS) -> None:
    app.send_task('export.project', task_id='before')
    server.fail(answer='last is refused', action='SendMessageBatch', prefix=f'{broker.prefix}-platform')
    error = not_sent(app, IDS[:20])
    assert error.task_ids == (IDS[9], IDS[19])
    assert 'Amazon SQS refused 2 messages: not this one. Mend that' in str(error)
    assert (
        sorted(ids(broker)) == sorted(ids(broker, PLATFORM_QUEUE)) == sorted({'before', *IDS[:20]} - {IDS[9], IDS[19]})
    )


@sqs
@pytest.mark.parametrize(
    ('answer', 'taken', 'why'), [('last is busy', 2, 'try again later'), ('nothing', 0, 'it does not say why')]
)
def test_sqs_stays_busy(
    app: Celery,
    broker: SQSBroker,
    server: SQS,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    taken: int,
    why: str,
) -> None:
    monkeypatch.setattr(sqs_batch, 'PAUSES', ())
    app.send_task('export.project', task_id='before')
    server.fail(answer=answer, action='SendMessageBatch', prefix=f'{broker.prefix}-export')
    error = not_sent(app, IDS[:3])
    assert f'Amazon SQS could not take {3 - taken} messages of http' in str(error)
    assert why in str(error)
    assert error.task_ids == tuple(IDS[taken:3])
    assert sorted(ids(broker)) == sorted(['before', *IDS[:taken]])
    # The platform will call it lost.
    assert sorted(ids(broker, PLATFORM_QUEUE)) == sorted(['before', *IDS[:3]])


@sqs
def test_sqs_refuses_a_whole_call(make: Make, broker: SQSBroker, server: SQS) -> None:
    options = {**broker.options, 'client-config': {'retries': {'total_max_attempts': 1}}}
    app = make(broker_transport_options=options)
    app.send_task('export.project', task_id='before')
    server.fail(answer='throttled', action='SendMessageBatch', prefix=f'{broker.prefix}-platform')
    error = not_sent(app, IDS[:12])
    assert error.task_ids == tuple(IDS[:12])
    assert 'Too many requests' in str(error)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['before']


@sqs
def test_one_message_that_cannot_be_made(app: Celery, broker: SQSBroker, server: SQS) -> None:
    app.send_task('export.project', task_id='before')
    error = not_sent(app, IDS[:2], headers={'unfit': object()})
    assert error.task_ids == tuple(IDS[:2])
    assert 'not JSON serializable' in str(error)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['before']


@on_redis
def test_redis_is_asked_once_where_messages_go(app: Celery, broker: Broker, redis_server: Redis) -> None:
    app.send_task('export.project', task_id='before')
    with redis.Redis(port=redis_server.port) as client:

        def calls() -> dict[str, int]:
            return {name: values['calls'] for name, values in client.info('commandstats').items()}

        before = calls()
        send_together(app, IDS)
        after = calls()
    assert after['cmdstat_smembers'] - before['cmdstat_smembers'] == 1
    assert after['cmdstat_lpush'] - before['cmdstat_lpush'] == 200
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['before', *IDS]
    app.send_task('export.project')
    with redis.Redis(port=redis_server.port) as client:
        assert calls()['cmdstat_smembers'] - after['cmdstat_smembers'] == 1


@on_redis
def test_redis_is_out_of_memory(app: Celery, broker: Broker, redis_server: Redis) -> None:
    app.send_task('export.project', task_id='before')
    with redis.Redis(port=redis_server.port) as client:
        client.config_set('maxmemory', 1)
        try:
            error = not_sent(app, IDS)
        finally:
            client.config_set('maxmemory', 0)
    assert error.task_ids == tuple(IDS)
    assert 'used memory > ' in str(error)
    send_together(app, IDS)
    assert ids(broker) == ['before', *IDS]


@pytest.mark.parametrize('broker', ['redis', 'amqp'], indirect=True)
def test_a_connection_that_broke_is_made_again(make: Make, broker: Broker) -> None:
    app = make(broker_url=broker.proxied_url)
    app.send_task('export.project', task_id='before')
    broker.cut()
    send_together(app, IDS)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['before', *IDS]


@amqp
def test_rabbitmq_has_lost_the_exchange(app: Celery, broker: Broker) -> None:
    app.send_task('export.project')
    with broker.connect() as connection:
        for queue in ('export', PLATFORM_QUEUE):
            connection.default_channel.queue_delete(queue)
        connection.default_channel.exchange_delete('task_exchange')
    send_together(app, IDS)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == IDS


@amqp
def test_rabbitmq_refuses_what_a_queue_has_no_room_for(make: Make, broker: Broker) -> None:
    arguments = {'x-max-length': 2, 'x-overflow': 'reject-publish'}
    exchange = Exchange('task_exchange', 'topic')
    app = make(QUEUES=None, task_queues=[Queue('export', exchange, routing_key='export', queue_arguments=arguments)])
    error = not_sent(app, IDS[:5])
    assert 'RabbitMQ has refused 3 messages: look whether a queue is full. Mend that' in str(error)
    assert sorted({*ids(broker), *error.task_ids}) == IDS[:5]
    assert len(error.task_ids) == 3
    # The connection can be used again.
    broker.drain(PLATFORM_QUEUE)
    send_together(app, IDS[5:7])
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == IDS[5:7]


@amqp
def test_rabbitmq_does_not_confirm(make: Make, broker: Broker, rabbitmq_server: RabbitMQ) -> None:
    app = make(broker_transport_options={**broker.options, 'confirm_timeout': 2})
    app.send_task('export.project', task_id='before')
    rabbitmq_server.alarm(True)
    try:
        error = not_sent(app, IDS[:3])
    finally:
        rabbitmq_server.alarm(False)
    assert isinstance(error, NotConfirmed)
    assert error.task_ids == tuple(IDS[:3])
    assert 'within 2 s: it is short of memory or disk space' in str(error)


@amqp
def test_rabbitmq_need_not_confirm(make: Make, broker: Broker) -> None:
    app = make(broker_transport_options={**broker.options, 'confirm_publish': False})
    send_together(app, IDS)
    with app.pool.acquire() as connection:
        # It answers when it has taken what was sent before.
        connection.default_channel.queue_declare('export', passive=True)
    assert ids(broker) == IDS
