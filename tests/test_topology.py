"""Messages reach their queues, and the connection that publishes them declares what they need."""

from __future__ import annotations

import copy
import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound
from kombu import Connection, Exchange, Queue
from kombu.transport import memory, virtual

from cadasta.workertoolbox import topology
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.topology import Declaration, Topology, WorkQueue

EXCHANGE = Exchange('task_exchange', 'topic')
PLATFORM = Queue('platform.fifo', EXCHANGE, routing_key='#')


class Forgetful(memory.Transport):
    """A broker that keeps its queues, and whose exchanges and bindings last no longer than a connection, as on SQS."""

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = virtual.BrokerState()


@pytest.fixture(autouse=True)
def _no_messages() -> Iterator[None]:
    memory.Transport.global_state.clear()
    memory.Channel.queues.clear()
    yield
    memory.Transport.global_state.clear()
    memory.Channel.queues.clear()


def app_with(transport: Any = Forgetful, **settings: Any) -> Celery:
    app = Celery('test', set_as_current=False, task_ignore_result=True)
    app.config_from_object(Config(**{'broker_transport': transport, 'result_backend': None, **settings}))
    return app


def contents() -> dict[str, int]:
    return {name: queue.qsize() for name, queue in memory.Channel.queues.items() if queue.qsize()}


def test_a_naive_producer_loses_its_task_where_bindings_last_no_longer_than_a_connection() -> None:
    app = Celery('naive', set_as_current=False, task_ignore_result=True)
    app.config_from_object(
        {
            'broker_transport': Forgetful,
            'task_default_exchange': 'task_exchange',
            'task_default_exchange_type': 'topic',
            'task_queues': {Queue('export', EXCHANGE, routing_key='export'), PLATFORM},
            'task_routes': lambda name, *args, **kwargs: {'exchange': EXCHANGE, 'routing_key': 'export'},
        }
    )
    app.send_task('export.project')
    assert contents() == {}


def test_a_producer_that_only_sends_reaches_both_queues() -> None:
    app_with().send_task('export.project')
    assert contents() == {'export': 1, 'platform.fifo': 1}


@pytest.mark.parametrize(
    ('name', 'options', 'queue'),
    [
        ('export.project', {}, 'export'),
        ('export', {}, 'export'),
        ('celery.backend_cleanup', {}, 'celery'),
        ('export.project.all', {}, 'export'),
        ('export.project', {'queue': 'msg'}, 'msg'),
        ('export.project', {'queue': 'fifo.fifo'}, 'fifo.fifo'),
        ('fifo.project', {}, 'fifo.fifo'),
        ('export.project', {'routing_key': 'msg'}, 'msg'),
        ('nobody.knows', {'routing_key': 'msg'}, 'msg'),
        ('export.project', {'queue': 'export', 'routing_key': 'msg'}, 'msg'),
        ('export.project', {'exchange': 'task_exchange', 'routing_key': 'msg'}, 'msg'),
        ('export.project', {'exchange': 'legacy'}, 'export'),
        ('export.project', {'exchange': '', 'routing_key': 'msg'}, 'msg'),
        ('export.project', {'exchange_type': 'direct'}, 'export'),
        ('export.project', {'queue': Queue('msg')}, 'msg'),
        ('export.project', {'queue': Queue('other', Exchange('elsewhere', 'direct'), routing_key='x')}, 'other'),
        ('export.project', {'declare': [Queue('mine', EXCHANGE, routing_key='mine')]}, 'export'),
        ('export.project', {'declare': []}, 'export'),
        ('export.project', {'retry': False}, 'export'),
        ('export.project', {'headers': {'x': 1}, 'priority': 3, 'countdown': 5}, 'export'),
    ],
)
def test_every_message_reaches_its_queue_and_the_platforms(name: str, options: dict[str, Any], queue: str) -> None:
    app_with(QUEUES=['export', 'msg', 'fifo.fifo']).send_task(name, **options)
    assert contents() == {queue: 1, 'platform.fifo': 1}


def test_a_queue_with_a_routing_key_of_its_own_is_reached_by_its_name() -> None:
    app = app_with(task_queues=[Queue('urgent', EXCHANGE, routing_key='export.high'), PLATFORM])
    app.send_task('export.project', queue='urgent')
    assert contents() == {'urgent': 1, 'platform.fifo': 1}


def test_options_of_the_task() -> None:
    app = app_with()

    @app.task(name='export.project', queue='msg')
    def project() -> None: ...

    @app.task(name='export.other', exchange='legacy', routing_key='msg')
    def other() -> None: ...

    project.delay()
    assert contents() == {'msg': 1, 'platform.fifo': 1}
    project.apply_async(queue='export')
    assert contents() == {'msg': 1, 'export': 1, 'platform.fifo': 2}
    other.delay()
    assert contents() == {'msg': 2, 'export': 1, 'platform.fifo': 3}


def test_another_routers_queue_is_tracked_too() -> None:
    app = app_with(task_routes=[{'nobody.*': {'queue': 'export'}}])
    app.send_task('nobody.knows')
    assert contents() == {'export': 1, 'platform.fifo': 1}


class Router:
    """A router as Celery knew it before version 4."""

    def route_for_task(self, name: str, args: Any = None, kwargs: Any = None) -> Any:
        return {'queue': 'export'} if name == 'old.task' else None


ROUTES: dict[str, Any] = {
    'name': {'old.task': 'export'},
    'pattern': {'old.*': {'queue': 'export'}},
    'routing key': {'old.*': {'routing_key': 'export'}},
    'expression': {re.compile('o.d'): {'queue': 'export', 'routing_key': 'export'}},
    'exchange': {'old.*': {'queue': 'export', 'exchange': 'elsewhere', 'exchange_type': 'direct'}},
    'queue': {'old.*': {'queue': Queue('export', Exchange('elsewhere', 'direct'), routing_key='export')}},
    'the rest': {'msg.*': 'msg', '*': 'export'},
    'pairs': [('old.*', 'export'), ('*', 'msg')],
    'pairs in a list': ([('old.*', 'export')],),
    'maps': [{'other.*': 'msg'}, {'old.*': 'export'}, {'old.*': 'msg'}],
    'function': lambda name, args, kwargs, options, task=None, **kw: 'export',
    'functions': [lambda *args, **kw: None, lambda *args, **kw: {'queue': 'export'}],
    'router': Router(),
    'name of a router': f'{__name__}.Router',
    'router of another Config': [{'old.*': 'export'}, Config(QUEUES=['other']).topology.route],
}


@pytest.mark.parametrize('routes', ROUTES.values(), ids=ROUTES)
def test_routes_of_ones_own_choose_the_queue(routes: Any) -> None:
    app = app_with(QUEUES=['export', 'msg', 'urgent'], task_routes=routes)
    app.send_task('old.task')
    assert contents() == {'export': 1, 'platform.fifo': 1}
    # A call comes before them, and so does a retry.
    app.send_task('old.task', queue='urgent')
    app.send_task('old.task', exchange='task_exchange', routing_key='urgent')
    assert contents() == {'export': 1, 'urgent': 2, 'platform.fifo': 3}


@pytest.mark.parametrize(
    'routes', [None, {}, [], {'old.*': {'queue': 'msg'}}, {'export.*': {'priority': 3}}, lambda *a, **k: {}]
)
def test_the_name_chooses_the_queue_if_no_route_does(routes: Any) -> None:
    app_with(task_routes=routes).send_task('export.project')
    assert contents() == {'export': 1, 'platform.fifo': 1}


def test_a_route_gives_other_options_as_well() -> None:
    mine = Queue('mine', EXCHANGE, routing_key='mine')
    made = Config(task_routes={'old.*': {'queue': 'export', 'priority': 3, 'declare': [mine]}}).topology
    route = made.route('old.project', (), {}, {})
    assert (route['priority'], route['declare'][0], len(route['declare'])) == (3, mine, 2)
    assert made.route('old.project', (), {}, {'queue': 'msg'})['priority'] == 3
    # Two calls share no list.
    assert made.chosen('old.project')['declare'] == [mine]


def test_a_route_sees_what_celery_gives_it() -> None:
    seen: list[Any] = []
    app = app_with(task_routes=lambda *args, **options: seen.append((args, options)))

    @app.task(name='export.project')
    def project(number: int, page: int) -> None: ...

    project.apply_async((1,), {'page': 2}, queue='msg', priority=3)
    (((name, args, kwargs, options), others),) = seen
    assert (name, args, kwargs, others) == ('export.project', (1,), {'page': 2}, {'task': project})
    assert (options['queue'].name, options['priority']) == ('msg', 3)


def test_a_route_to_a_queue_on_another_exchange() -> None:
    private = Queue('private', Exchange('elsewhere', 'direct'), routing_key='x')
    app = app_with(task_queues=[Queue('celery'), private], task_routes={'old.*': 'private'})
    app.send_task('old.project')
    assert contents() == {'private': 1, 'platform.fifo': 1}


@pytest.mark.parametrize('route', ['archive', {'queue': 'archive'}, {'queue': 'export', 'routing_key': 'archive'}])
def test_a_route_to_a_queue_that_is_not_there_says_what_to_change(route: Any) -> None:
    with pytest.raises(QueueNotFound) as error:
        app_with(task_routes={'old.*': route}).send_task('old.project')
    assert error.value.args[0] == (
        "Task 'old.project' was not sent: no work queue serves its routing key 'archive', which task_routes chose. The "
        "work queues are celery, export, msg. Add 'archive' to the QUEUES of this app's Config, or let task_routes "
        'choose one of these.'
    )
    assert contents() == {}


def test_a_route_to_the_platform_queue_is_refused() -> None:
    with pytest.raises(QueueNotFound, match='is the platform queue'):
        app_with(task_routes={'old.*': 'platform.fifo'}).send_task('old.project')


def test_a_route_makes_a_queue_that_is_missing() -> None:
    app_with(task_create_missing_queues=True, task_routes={'old.*': 'archive'}).send_task('old.project')
    assert contents() == {'archive': 1, 'platform.fifo': 1}


def with_routes_before(*routes: Any, **settings: Any) -> Celery:
    """An app whose Config does not know its routes."""
    app = app_with(QUEUES=['export', 'urgent'], **settings)
    app.conf.task_routes = [*routes, app.conf.task_routes]
    return app


def test_routes_before_those_of_config() -> None:
    app = with_routes_before({'old.*': {'queue': 'export'}})
    app.send_task('old.task')
    app.send_task('old.task', queue='urgent')
    app.send_task('export.task')
    assert contents() == {'export': 2, 'urgent': 1, 'platform.fifo': 3}


def test_a_retry_comes_before_routes_that_config_does_not_know() -> None:
    app = with_routes_before({'old.*': {'queue': 'export'}})
    app.send_task('old.task', exchange='task_exchange', routing_key='urgent', declare=None)
    assert contents() == {'urgent': 1, 'platform.fifo': 1}


def test_a_routing_key_that_no_queue_serves_is_refused_behind_such_routes_as_well() -> None:
    app = with_routes_before({'old.*': {'queue': 'export'}})
    with pytest.raises(QueueNotFound, match="no work queue serves its routing key 'nowhere'"):
        app.send_task('old.task', routing_key='nowhere')
    assert contents() == {}


def test_what_goes_to_another_exchange_is_left_alone() -> None:
    app = with_routes_before({'old.*': {'queue': 'export', 'exchange': 'elsewhere', 'routing_key': 'export'}})
    app.send_task('old.task')
    assert contents() == {}


def test_a_message_behind_such_routes_has_a_group() -> None:
    app = with_routes_before({'old.*': {'queue': 'export'}})
    app.conf.task_queues = Config(QUEUES=['export'], broker_transport='sqs', FAIR_QUEUES=True).task_queues
    app.send_task('old.task', task_id='one')
    message = memory.Channel.queues['export'].get()
    assert message['properties']['MessageGroupId'] == 'one'


def test_a_consumer_binds_its_own_queue_alone() -> None:
    """It puts a message back into all queues that its connection bound; on SQS the platform queue would refuse it."""
    app = app_with()
    with Connection(transport=Forgetful) as connection, connection.Consumer([app.amqp.queues['export']]) as consumer:
        assert consumer.channel._lookup('task_exchange', 'export') == {'export'}


def test_every_connection_declares_for_itself() -> None:
    app = app_with()
    for _ in range(2):
        with Connection(transport=Forgetful) as connection:
            app.send_task('export.project', connection=connection)
            app.send_task('export.project', connection=connection)
    assert contents() == {'export': 4, 'platform.fifo': 4}


def test_a_connection_that_was_lost_declares_again() -> None:
    app = app_with()
    app.send_task('export.project')
    with app.producer_or_acquire() as producer:
        producer.connection.collect()
    app.send_task('export.project')
    assert contents() == {'export': 2, 'platform.fifo': 2}


def test_a_connection_declares_once() -> None:
    declared = []

    class Counting(Forgetful):
        class Channel(memory.Channel):
            def queue_declare(self, queue: str = '', **kwargs: Any) -> Any:
                declared.append(queue)
                return super().queue_declare(queue, **kwargs)

    app = app_with(Counting)
    for _ in range(3):
        app.send_task('export.project')
    assert declared == ['platform.fifo', 'export']
    app.send_task('msg.send')
    assert declared == ['platform.fifo', 'export', 'platform.fifo', 'msg']


def test_apps_that_share_a_connection_do_not_take_each_others_declarations_for_their_own() -> None:
    plain = Celery('plain', set_as_current=False, broker_transport=Forgetful, task_ignore_result=True)
    other = app_with(task_default_exchange='other_exchange')
    ours = app_with()
    with Connection(transport=Forgetful) as connection:
        plain.send_task('export.project', queue='export', connection=connection)
        other.send_task('export.project', connection=connection)
        ours.send_task('export.project', connection=connection)
    assert contents() == {'export': 3, 'platform.fifo': 2}


class SlowToBind(virtual.exchange.TopicExchange):
    def prepare_bind(self, *args: Any) -> Any:
        time.sleep(0.01)
        return super().prepare_bind(*args)


class Slow(memory.Transport):
    """The memory transport, with a pause where it has noted a binding that is not yet in force."""

    class Channel(memory.Channel):
        exchange_types = {**memory.Channel.exchange_types, 'topic': SlowToBind}  # noqa: RUF012  # as kombu has it


def test_threads_that_start_together_lose_nothing() -> None:
    app = app_with(Slow)
    barrier = threading.Barrier(8)

    def produce() -> None:
        with Connection(transport=Slow) as connection:
            barrier.wait()
            for _ in range(4):
                app.send_task('export.project', connection=connection)

    for _ in range(3):
        memory.Transport.global_state.clear()
        threads = [threading.Thread(target=produce) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert contents() == {'export': 96, 'platform.fifo': 96}


@pytest.mark.process
def test_a_child_that_was_forked_while_a_thread_declared_can_declare() -> None:
    queue = WorkQueue('export', EXCHANGE, routing_key='export', platform=PLATFORM)
    with Connection('memory://') as connection, topology._declaring:
        channel = connection.default_channel
        child = os.fork()
        if not child:
            signal.alarm(10)
            os._exit(queue.declare(channel=channel) != 'export')
    assert os.waitpid(child, 0)[1] == 0


def test_a_task_that_no_queue_serves_is_refused() -> None:
    with pytest.raises(QueueNotFound) as error:
        app_with(QUEUES=['export']).send_task('import.project')
    assert error.value.args[0] == (
        "Task 'import.project' was not sent: no work queue serves its routing key 'import'. "
        'The work queues are celery, export. '
        "Add 'import' to the QUEUES of this app's Config, or send the task with queue= or routing_key= of one of these."
    )
    assert contents() == {}


@pytest.mark.parametrize(('number', 'shown'), [(20, 'queue-19. Add'), (21, 'queue-19 and 1 more. Add')])
def test_a_refusal_names_twenty_queues(number: int, shown: str) -> None:
    queues = [Queue(f'queue-{index:02}', EXCHANGE, routing_key=f'queue-{index:02}') for index in range(number)]
    with pytest.raises(QueueNotFound) as error:
        Topology(EXCHANGE, [PLATFORM, *queues], PLATFORM.name).route('import.project', (), {}, {})
    assert f', {shown}' in error.value.args[0]


def test_a_queue_is_called_by_its_name_where_its_routing_key_is_another() -> None:
    billing = Queue('billing', EXCHANGE, routing_key='invoices')
    route = Topology(EXCHANGE, [PLATFORM, billing], PLATFORM.name).route('a.b', (), {}, {'queue': 'billing'})
    assert (route['queue'].name, route['routing_key']) == ('billing', 'invoices')


def test_a_routing_key_that_no_queue_serves_is_refused() -> None:
    with pytest.raises(QueueNotFound, match=r"routing key 'export\.high'"):
        app_with().send_task('export.project', routing_key='export.high')


def test_a_queue_that_is_not_there_is_refused() -> None:
    with pytest.raises(QueueNotFound, match="'import'"):
        app_with().send_task('export.project', queue='import')
    with pytest.raises(QueueNotFound, match="'import'"):
        Config().task_routes('export.project', (), {}, {'queue': 'import'})


@pytest.mark.parametrize('create', [False, True])
@pytest.mark.parametrize(
    'options',
    [
        {'queue': 'platform.fifo'},
        {'queue': PLATFORM},
        {'routing_key': 'platform.fifo'},
    ],
)
def test_the_platform_queue_is_no_work_queue(options: dict[str, Any], create: bool) -> None:
    app = app_with(task_create_missing_queues=create)
    with pytest.raises(QueueNotFound, match=r"'export.project' was not sent: 'platform.fifo' is the platform queue"):
        app.send_task('export.project', **options)
    assert contents() == {}


def test_a_queue_that_is_bound_elsewhere_is_named_by_a_call_and_by_its_retry() -> None:
    elsewhere = Queue('private.fifo', Exchange('elsewhere'), routing_key='private')
    topology = Topology(EXCHANGE, [PLATFORM, elsewhere], PLATFORM.name)
    with pytest.raises(QueueNotFound):
        topology.route('private.task', (), {}, {})
    # In a worker, which has not sent the task.
    route = topology.route('export.flaky', (), {}, {'routing_key': 'private'})
    assert (route['queue'].name, route['exchange'], route['routing_key']) == ('private.fifo', EXCHANGE, 'private')
    assert route['queue'].exchange == EXCHANGE


def test_a_refusal_does_not_list_a_thousand_queues() -> None:
    config = Config(QUEUES=[f'queue{number}' for number in range(1000)])
    with pytest.raises(QueueNotFound, match=r'queue0, .* and 981 more\. Add') as error:
        config.task_routes('import.project', (), {}, {})
    assert len(error.value.args[0]) < 600


@pytest.mark.parametrize('options', [{}, {'queue': 'new'}, {'routing_key': 'new'}])
def test_missing_queues_are_made_on_the_topic_exchange(options: dict[str, Any]) -> None:
    app = app_with(task_create_missing_queues=True)
    name = 'export.project' if options else 'new.project'
    app.send_task(name, **options)
    app.send_task(name, **options)
    assert contents() == {'new': 2, 'platform.fifo': 2}


@pytest.mark.parametrize(
    ('settings', 'arguments'),
    [
        ({}, {}),
        ({'task_create_missing_queue_type': 'classic'}, {}),
        ({'task_create_missing_queue_type': 'quorum'}, {'x-queue-type': 'quorum'}),
        ({'task_queue_max_priority': 0}, {'x-max-priority': 0}),
    ],
)
def test_missing_queues_are_made_as_celery_makes_them(settings: dict[str, Any], arguments: dict[str, Any]) -> None:
    app = app_with(task_create_missing_queues=True, **settings)
    made = app.conf.task_routes('new.project', (), {}, {})['queue']
    assert made.queue_arguments == arguments
    assert (app.amqp.queues['new'].queue_arguments or {}) == arguments


def test_the_body_of_a_chord_has_a_queue() -> None:
    route = app_with().amqp.router.route({'result': []}, 'msg.done')
    assert route['queue'].name == 'msg'


def test_what_a_caller_declares_is_declared_as_well() -> None:
    mine = Queue('mine', EXCHANGE, routing_key='mine')
    options = {'declare': [mine]}
    route = Config().topology.route('export.project', (), {}, options)
    assert options['declare'] == [mine, *route['declare']]


def test_a_route_belongs_to_its_call() -> None:
    made = Config().topology
    first, second = (made.route('export.project', (), {}, {}) for _ in range(2))
    assert first == second
    assert first is not second
    assert first['declare'] is not second['declare']
    assert first['exchange'] is made.exchange
    assert isinstance(first['exchange'], Exchange)


def test_routing_builds_nothing_per_call() -> None:
    made = Topology(EXCHANGE, [Queue(f'queue{number}', EXCHANGE) for number in range(100)], 'platform.fifo')
    one, two = (made.route('queue7.task', (), {}, {}) for _ in range(2))
    assert one['queue'] is two['queue']
    assert one['declare'][0] is two['declare'][0]


def test_a_platform_queue_of_ones_own() -> None:
    quorum = Queue('platform.fifo', queue_arguments={'x-queue-type': 'quorum'})
    made = Topology(EXCHANGE, [quorum], 'platform.fifo')
    assert (made.platform, made.platform.routing_key) == (quorum, '#')


def test_a_platform_queue_with_bindings() -> None:
    bound = Queue('platform.fifo', [EXCHANGE.binding('#')])
    app = app_with(task_queues=[bound, Queue('export')])
    app.send_task('export.project')
    assert contents() == {'export': 1, 'platform.fifo': 1}


def test_a_queue_keeps_its_arguments() -> None:
    quorum = Queue('export', EXCHANGE, routing_key='export', queue_arguments={'x-queue-type': 'quorum'})
    assert quorum in Config(task_queues=[Queue('celery'), quorum]).task_queues


def test_a_queue_with_bindings_of_its_own_is_left_alone() -> None:
    bound = Queue('legacy', [EXCHANGE.binding('legacy')])
    assert bound in Topology(EXCHANGE, [bound], 'platform.fifo').queues


def test_repr() -> None:
    assert repr(Config(['export']).topology) == '<Topology task_exchange (topic): celery, export, platform.fifo>'


@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, lambda entity: pickle.loads(pickle.dumps(entity))])
def test_entities_can_be_copied(copied: Callable[[Any], Any]) -> None:
    queue = WorkQueue('export', EXCHANGE, routing_key='export', platform=PLATFORM)
    assert copied(queue).platform == PLATFORM
    declaration = Declaration(queue, grouped=True)
    again = copied(declaration)
    assert (hash(again), again.queue, again.grouped) == (hash(declaration), queue, True)
    assert again != declaration


def test_queues_of_ones_own_without_the_default_queue() -> None:
    """The error of beat's own task says what is missing."""
    app = app_with(task_queues=[Queue('export')])
    with pytest.raises(QueueNotFound, match=r"'celery\.backend_cleanup' was not sent: no work queue .* key 'celery'"):
        app.tasks['celery.backend_cleanup'].delay()
    app.send_task('export.project')
    assert contents() == {'export': 1, 'platform.fifo': 1}


def test_what_a_message_declares_tells_its_exchange() -> None:
    """As queues do: OpenTelemetry asks each for it."""
    (declared,) = Config().topology.route('export.project', (), {}, {})['declare']
    assert declared.exchange == EXCHANGE
