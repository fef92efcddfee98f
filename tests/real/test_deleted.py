"""Somebody deletes queues, bindings or the exchange while a producer lives: its next task is tracked all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from celery import Celery

from cadasta.workertoolbox import topology
from cadasta.workertoolbox.conf import Config
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.sqs import SQSBroker

EXCHANGE = 'task_exchange'


@pytest.fixture
def app(broker: Broker) -> Celery:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://', **broker.settings))
    return app


def flush(client: redis.Redis) -> None:
    client.flushdb()


def delete_table(client: redis.Redis) -> None:
    client.delete(f'_kombu.binding.{EXCHANGE}')


def unbind(client: redis.Redis) -> None:
    (binding,) = (found for found in client.smembers(f'_kombu.binding.{EXCHANGE}') if PLATFORM_QUEUE.encode() in found)
    client.srem(f'_kombu.binding.{EXCHANGE}', binding)


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_in_redis(app: Celery, broker: Broker) -> None:
    with redis.Redis.from_url(broker.url) as client:
        for delete in (flush, delete_table, unbind):
            app.send_task('export.project')
            before = {queue: broker.count(queue) for queue in ('export', PLATFORM_QUEUE)}
            delete(client)
            kept = {queue: 0 if delete is flush else count for queue, count in before.items()}
            app.send_task('export.project')
            assert {queue: broker.count(queue) for queue in kept} == {queue: count + 1 for queue, count in kept.items()}


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_in_rabbitmq(app: Celery, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    deletions: list[Callable[[Any], Any]] = [
        lambda channel: channel.exchange_delete(EXCHANGE),
        lambda channel: channel.queue_delete(PLATFORM_QUEUE),
        lambda channel: channel.queue_delete('export'),
        lambda channel: channel.queue_unbind(PLATFORM_QUEUE, EXCHANGE, '#'),
    ]
    app.send_task('export.project')
    for number, delete in enumerate(deletions):
        with broker.connect() as connection:
            delete(connection.default_channel)
        # An exchange that is gone is noticed at once.
        monkeypatch.setattr(topology, 'RENEWAL', 0 if number else 99)
        before = {queue: broker.count(queue) for queue in ('export', PLATFORM_QUEUE)}
        app.send_task('export.project')
        after = {queue: broker.count(queue) for queue in ('export', PLATFORM_QUEUE)}
        assert after == {queue: count + 1 for queue, count in before.items()}, number


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_in_amazon_sqs(app: Celery, broker: SQSBroker) -> None:
    for queue in (PLATFORM_QUEUE, 'export'):
        app.send_task('export.project')
        broker.client.delete_queue(QueueUrl=broker.queues()[queue])
        before = broker.count(PLATFORM_QUEUE)
        app.send_task('export.project')
        assert broker.count('export') >= 1
        # A platform queue has the copy of each try. They are one row.
        assert broker.count(PLATFORM_QUEUE) > before
