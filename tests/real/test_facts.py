"""Facts about Celery, kombu and SQLAlchemy that the library exists for: the plain way fails, `Config` does not.

Each is pinned to the versions that the library supports. Where one changes, the code that it explains may go.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import kombu.pools
import pytest
import sqlalchemy
from celery import Celery, chord
from kombu import Connection, Exchange, Queue
from kombu.transport import filesystem
from sqlalchemy.engine import make_url

from cadasta.workertoolbox.conf import Config
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until
from rig.servers.sqs import SQS, SQSBroker
from rig.workers.services import READY, Services

ADD = 'export.tasks.add'
PASSWORD = 'p@ss:w/rd%?#&+ é'

exchange = Exchange('task_exchange', 'topic')
export = Queue('export', exchange, routing_key='export')
celery = Queue('celery', exchange, routing_key='celery')
platform = Queue(PLATFORM_QUEUE, exchange, routing_key='#')

Router = Callable[..., dict[str, Any]]


def only(*brokers: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize('broker', brokers, indirect=True)


@pytest.fixture(autouse=True)
def own_connections() -> Iterator[None]:
    """kombu keeps one pool of connections per broker URL for the whole process."""
    kombu.pools.reset()
    yield
    kombu.pools.reset()


def plain_app(broker: Broker, route: Router, **settings: Any) -> Celery:
    """An app in plain Celery settings, that routes by `route`."""
    app = Celery('plain', set_as_current=False)
    app.conf.update(
        {
            'broker_url': broker.url,
            'broker_transport_options': broker.options,
            'task_queues': [celery, export, platform],
            'task_routes': (route,),
            **settings,
        }
    )
    return app


def our_app(broker: Broker, **settings: Any) -> Celery:
    app = Celery('ours', set_as_current=False)
    app.config_from_object(
        Config(QUEUES=['export'], **{'result_backend': 'db+sqlite://', **broker.settings, **settings})
    )
    return app


def by_key(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """All that AMQP needs: the exchange knows its queues."""
    return {'exchange': 'task_exchange', 'routing_key': name.partition('.')[0]}


def by_name(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Declares what the name of the task says, whatever the routing key becomes."""
    queue = {'celery': celery, 'export': export}[name.partition('.')[0]]
    return {'queue': queue, 'routing_key': queue.routing_key, 'declare': [queue, platform]}


def declare_once(broker: Broker) -> None:
    """Does on a connection of its own what a worker does when it starts."""
    with broker.connect() as connection:
        for queue in (celery, export, platform):
            queue(connection.default_channel).declare()


def counts(broker: Broker) -> dict[str, int]:
    return {name: broker.count(name) for name in ('celery', 'export', PLATFORM_QUEUE)}


# Bindings live on the connection


@only('sqs')
def test_sqs_producer_that_declares_nothing_loses_its_tasks(broker: Broker) -> None:
    declare_once(broker)
    naive = plain_app(broker, by_key)
    for number in range(3):
        naive.send_task(ADD, (number, number))
    assert counts(broker) == {'celery': 0, 'export': 0, PLATFORM_QUEUE: 0}

    ours = our_app(broker)
    for number in range(3):
        ours.send_task(ADD, (number, number))
    assert counts(broker) == {'celery': 0, 'export': 3, PLATFORM_QUEUE: 3}


@only('redis')
def test_redis_producer_that_declares_nothing_hides_its_tasks_from_the_platform(broker: Broker) -> None:
    declare_once(broker)
    plain_app(broker, by_key).send_task(ADD, (1, 2))
    assert counts(broker) == {'celery': 0, 'export': 1, PLATFORM_QUEUE: 0}

    our_app(broker).send_task(ADD, (1, 2))
    assert counts(broker) == {'celery': 0, 'export': 2, PLATFORM_QUEUE: 1}


@only('filesystem')
def test_filesystem_producer_in_another_process_hides_its_tasks_from_the_platform(broker: Broker) -> None:
    declare_once(broker)
    # The exchange's type is what a process remembers, its bindings are in a file.
    filesystem.Transport.global_state.clear()
    plain_app(broker, by_key).send_task(ADD, (1, 2))
    assert counts(broker) == {'celery': 0, 'export': 1, PLATFORM_QUEUE: 0}

    filesystem.Transport.global_state.clear()
    our_app(broker).send_task(ADD, (1, 2))
    assert counts(broker) == {'celery': 0, 'export': 2, PLATFORM_QUEUE: 1}


@only('sqs')
def test_declaration_matched_by_the_name_loses_a_retry(broker: Broker) -> None:
    """`celery.chord_unlock` goes to the queue of the chord's body, and its retries go where the first try came from."""
    declare_once(broker)
    retry = {'exchange': 'task_exchange', 'routing_key': 'export', 'retries': 1}
    plain_app(broker, by_name).send_task('celery.chord_unlock', **retry)
    assert counts(broker) == {'celery': 0, 'export': 0, PLATFORM_QUEUE: 1}

    our_app(broker).send_task('celery.chord_unlock', **retry)
    assert counts(broker) == {'celery': 0, 'export': 1, PLATFORM_QUEUE: 2}


# Routes


@only('memory')
def test_route_without_queue_breaks_chords(broker: Broker) -> None:
    def schedule_chord(app: Celery) -> None:
        body = app.signature(ADD)
        chord([app.signature(ADD, (1, 2)), app.signature(ADD, (3, 4))], body, app=app).apply_async()

    with pytest.raises(KeyError, match='queue'):
        schedule_chord(plain_app(broker, by_key, result_backend='db+sqlite://'))

    broker.drain('export')
    broker.drain(PLATFORM_QUEUE)
    schedule_chord(our_app(broker))
    sent = Counter({ADD: 2, 'celery.chord_unlock': 1})
    assert Counter(message.key.task for message in broker.drain('export')) == sent
    assert Counter(message.key.task for message in broker.drain(PLATFORM_QUEUE)) == sent


def test_queues_of_one_name_collapse() -> None:
    """`task_queues` is a set: which of the two comes last, and wins, is up to their hashes."""
    named_in_queues = Queue(PLATFORM_QUEUE, exchange, routing_key='platform')
    winners = set()
    for queues in permutations([platform, named_in_queues]):
        app = Celery('plain', set_as_current=False)
        app.conf.update(task_queues=queues)
        winners.add(app.amqp.queues[PLATFORM_QUEUE].routing_key)
    assert winners == {'#', 'platform'}

    ours = Celery('ours', set_as_current=False)
    ours.config_from_object(Config(QUEUES=[PLATFORM_QUEUE, 'export'], broker_url='memory://'))
    assert ours.amqp.queues[PLATFORM_QUEUE].routing_key == '#'


@only('amqp')
def test_worker_without_queues_option_runs_each_task_twice(
    broker: Broker,
    database: Database,
    processes: Processes,
) -> None:
    """Ours is in test_worker_queues.py."""
    services = Services(broker, database, processes)
    services.start_worker('naive', '-c', '2').wait_for(READY)
    services.produce('naive', 'flood', '200')
    wait_until(lambda: services.ran().total() == 400, 'all tasks to run twice', interval=0.1)
    assert set(services.ran().values()) == {2}
    assert not services.copies()


# Brokers


def test_transport_setting_wins_over_the_url() -> None:
    assert Connection('amqp://localhost//', transport='sqs').transport.driver_type == 'sqs'

    plain = Celery('plain', set_as_current=False)
    plain.conf.update(broker_url='amqp://localhost//', broker_transport='sqs')
    assert plain.connection_for_write().transport.driver_type == 'sqs'

    ours = Celery('ours', set_as_current=False)
    ours.config_from_object(Config(broker_url='amqp://localhost//'))
    assert ours.connection_for_write().transport.driver_type == 'amqp'


@only('amqp')
def test_what_is_sent_into_a_dead_connection_is_lost_without_confirms(broker: Broker) -> None:
    """The network goes away with one message on its way, and the connection breaks later."""
    declare_once(broker)
    for app, arrived in (
        (plain_app(broker, by_name, broker_url=broker.proxied_url), 1),
        (our_app(broker, broker_url=broker.proxied_url), 2),
    ):
        app.send_task(ADD, (1, 2))
        wait_until(lambda: broker.count('export') == broker.count(PLATFORM_QUEUE) == 1, 'the first message')
        broker.mute()
        cutter = threading.Thread(target=cut_when_swallowed, args=(broker,))
        cutter.start()
        app.send_task(ADD, (3, 4))
        cutter.join()
        assert (broker.count('export'), broker.count(PLATFORM_QUEUE)) == (arrived, arrived)
        broker.drain('export')
        broker.drain(PLATFORM_QUEUE)
        kombu.pools.reset()


def cut_when_swallowed(broker: Broker) -> None:
    broker.wait_until_swallowed()
    broker.cut()


@only('sqs')
def test_kombu_puts_every_fifo_message_into_one_group(broker: SQSBroker) -> None:
    def groups() -> set[str]:
        return {message['Attributes']['MessageGroupId'] for message in broker.receive(PLATFORM_QUEUE)}

    naive = plain_app(broker, by_name)
    for number in range(3):
        naive.send_task(ADD, (number, number))
    assert groups() == {'default'}

    ours = our_app(broker)
    roots = {ours.send_task(ADD, (number, number)).id for number in range(3)}
    ours.send_task(ADD, (4, 4), root_id=min(roots), parent_id=min(roots))
    assert groups() == roots


@only('sqs')
def test_kombu_deletes_one_by_one(broker: SQSBroker, sqs_server: SQS) -> None:
    app = plain_app(broker, by_name)
    for number in range(10):
        app.send_task(ADD, (number, number))
    before = Counter(sqs_server.calls())
    with broker.connect() as connection, connection.SimpleQueue(export) as queue:
        for _ in range(10):
            queue.get(timeout=10).ack()
    assert (Counter(sqs_server.calls()) - before)['DeleteMessage'] == 10


# Results


def test_password_in_a_url_by_plain_formatting() -> None:
    plain = f'postgresql+psycopg2://worker:{PASSWORD}@localhost:5432/results'
    with pytest.raises(ValueError, match="'w'"):
        make_url(plain)
    half_plain = 'postgresql+psycopg2://worker:one@two/three@localhost:5432/results'
    assert make_url(half_plain).host == 'two'

    ours = make_url(Config(RESULT_DB_PASS=PASSWORD)['result_backend'].removeprefix('db+'))
    assert (ours.host, ours.password) == ('localhost', PASSWORD)


def test_driver_of_a_url_that_names_none() -> None:
    """The plain URL fails since SQLAlchemy 2.1 if only psycopg2 is installed."""
    is_new = tuple(map(int, sqlalchemy.__version__.split('.')[:2])) >= (2, 1)
    assert make_url('postgresql://localhost/results').get_driver_name() == ('psycopg' if is_new else 'psycopg2')

    for given in ({}, {'result_backend': 'db+postgresql://localhost/results'}):
        ours = make_url(Config(**given)['result_backend'].removeprefix('db+'))
        assert ours.get_driver_name() == 'psycopg2'
