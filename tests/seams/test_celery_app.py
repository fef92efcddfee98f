"""An app's state as its own methods set it up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, current_app
from celery.backends.base import BaseBackend
from kombu import Connection, Exchange, Queue
from kombu.connection import ConnectionPool

from cadasta.workertoolbox.seams import celery_app
from rig.servers.memory import MemoryBroker


def run() -> None: ...


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app whose broker cannot be reached."""
    app = Celery('seams', broker='amqp://localhost:1//', backend='cache+memory://', set_as_current=False)
    exchange = Exchange('tasks', 'topic')
    app.conf.task_queues = [Queue(name, exchange, routing_key=name) for name in ('one', 'two')]
    app.conf.task_default_queue = 'one'
    app.conf.task_create_missing_queues = False
    app.task(run, name='one.run', shared=False)
    app.finalize()
    with app:
        yield app


@pytest.fixture
def connections() -> Iterator[ConnectionPool]:
    broker = MemoryBroker()
    pool = Connection('memory://').Pool(limit=2)
    yield pool
    pool.force_close_all()
    broker.close()


def test_a_proxy_gives_its_app(app: Celery) -> None:
    assert celery_app.app_itself(current_app) is current_app._get_current_object()
    assert celery_app.app_itself(app) is app


def test_all_that_changes_in_an_app_is_in_one_of_the_mappings(app: Celery) -> None:
    task = app.tasks['one.run']
    kept = [(values, dict(values)) for values in celery_app.states_of(app)]

    app.note = 'changed'
    app.conf.task_time_limit = 7
    app.loader.note = 'changed'
    task.rate_limit = '1/s'
    backend = app.backend
    for values, before in kept:
        values.clear()
        values.update(before)

    assert not hasattr(app, 'note')
    assert app.conf.task_time_limit is None
    assert not hasattr(app.loader, 'note')
    assert task.rate_limit is None
    # The thread has one of its own.
    assert app.backend is not backend


def test_observers_hear_of_settings_until_they_are_taken_away(app: Celery) -> None:
    heard: list[dict[str, Any]] = []
    observers = celery_app.observers_of(app)
    before = list(observers)
    app.conf.bind_to(lambda **settings: heard.append(settings))
    app.conf.update(task_time_limit=7)
    observers[:] = before
    app.conf.update(task_time_limit=8)
    assert heard == [{'task_time_limit': 7}]


@pytest.mark.parametrize('is_made', [False, True])
def test_a_backend_that_stores_nothing(app: Celery, is_made: bool) -> None:
    if is_made:
        assert app.backend is app.tasks['one.run'].backend
    celery_app.store_no_results(app)
    assert type(app.backend) is BaseBackend
    assert app.tasks['one.run'].backend is app.backend


@pytest.mark.parametrize('is_made', [False, True])
def test_every_way_to_a_connection_leads_to_the_pool(app: Celery, connections: ConnectionPool, is_made: bool) -> None:
    if is_made:
        assert app.pool is not connections
        assert app.producer_pool.connections is not connections
    celery_app.use_pool(app, connections)
    assert app.pool is connections
    with app.connection_or_acquire() as connection:
        assert connection.transport.driver_type == 'memory'
    with app.producer_or_acquire() as producer:
        assert producer.connection.transport.driver_type == 'memory'
    app.send_task('one.run', retry=False)
    with app.pool.acquire() as connection:
        assert connection.default_channel.queue_declare('one', passive=True).message_count == 1


def test_the_public_way_would_leave_other_ways_to_the_broker(app: Celery, connections: ConnectionPool) -> None:
    app.producer_or_acquire = lambda producer=None: connections.acquire().Producer()
    assert app.pool is not connections
    assert app.producer_pool.connections is not connections


def test_a_copy_of_the_amqp_api_keeps_its_changes_to_itself(app: Celery, connections: ConnectionPool) -> None:
    original = app.amqp
    original.queues.add(Queue('by_hand', Exchange('tasks', 'topic'), routing_key='by_hand'))
    # They are made when they are first needed.
    bound = original.send_task_message, original.router
    copied = celery_app.copied_amqp(app)
    app.amqp = copied
    copied.queues.add(Queue('three', Exchange('tasks', 'topic'), routing_key='three'))
    copied.queues.deselect('one')

    celery_app.use_pool(app, connections)
    app.send_task('any', queue='three', retry=False)
    assert copied.queues.keys() == {'one', 'two', 'by_hand', 'three'}
    assert copied.queues.consume_from.keys() == {'two'}
    assert original.queues.keys() == {'one', 'two', 'by_hand'}
    assert original.queues.consume_from.keys() == {'one', 'two'}
    assert (original.send_task_message, original.router) == bound
    assert copied.send_task_message is not original.send_task_message


def test_a_copy_of_queues_that_were_selected(app: Celery) -> None:
    app.amqp.queues.select(['one', 'two'])
    copied = celery_app.copied_amqp(app)
    copied.queues.deselect('one')
    assert copied.queues.consume_from.keys() == {'two'}
    assert app.amqp.queues.consume_from.keys() == {'one', 'two'}


def test_a_router_with_queues_of_its_own_keeps_them(app: Celery) -> None:
    app.amqp.router = app.amqp.Router(queues=app.amqp.Queues([Queue('other')]))
    copied = celery_app.copied_amqp(app)
    assert copied.router.queues.keys() == {'other'}


def test_queues_that_a_worker_was_told_to_consume(app: Celery) -> None:
    assert celery_app.selected_queues(app) is None
    app.amqp.queues.deselect('two')
    assert celery_app.selected_queues(app) is None
    app.select_queues(['one', 'two'])
    assert celery_app.selected_queues(app) == {'one', 'two'}
    app.amqp.queues.deselect('two')
    assert celery_app.selected_queues(app) == {'one'}
