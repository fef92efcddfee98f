"""Apps that break no rule, on every broker and with every kind of customisation that is allowed."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Celery, Task, shared_task, signals
from celery.backends.database import DatabaseBackend
from celery.schedules import crontab
from kombu import Exchange, Queue
from kombu.common import Broadcast

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.setup import setup_app

from .apps import EXCHANGE, PLATFORM, Case, add, make_app, queues, routed_later, work_queue
from .broken import even_or_odd, predefined, when

SOUND: dict[str, Case] = {}

BROKERS = {
    'sqs': 'sqs://',
    'sqs_with_an_account': 'sqs://key:secret@',
    'amqp': 'amqp://guest:guest@localhost:1//',
    'amqps': 'amqps://localhost:1//',
    'redis': 'redis://:secret@localhost:1/0',
    'sentinel': 'sentinel://localhost:1;sentinel://localhost:2',
    'memory': 'memory://',
    'filesystem': 'filesystem://',
    'failover': 'amqp://localhost:1//;amqp://localhost:2//',
}
for _name, _url in BROKERS.items():
    SOUND[f'broker_{_name}'] = Case(partial(make_app, broker_url=_url))


def sound(**case: Any) -> Callable[[Callable[[], Celery]], Callable[[], Celery]]:
    def register(make: Callable[[], Celery]) -> Callable[[], Celery]:
        SOUND[make.__name__] = Case(make, **case)
        return make

    return register


@sound()
def defaults() -> Celery:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config())
    add(app, 'export.project')
    return app


@sound()
def broker_beside_the_config() -> Celery:
    app = Celery('export', set_as_current=False, broker=['redis://:secret@localhost:1/0', 'redis://localhost:2/0'])
    app.config_from_object(Config())
    add(app, 'export.project')
    return app


@sound()
def transport_beside_the_url() -> Celery:
    return make_app(broker_url=['amqp://localhost:1//', 'amqp://localhost:2//'], broker_transport='pyamqp')


@sound()
def transport_with_a_scheme_of_its_own() -> Celery:
    return make_app(broker_url='own://localhost', broker_transport='kombu.transport.memory:Transport')


@sound()
def no_work_queue_but_the_default() -> Celery:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=[]))
    add(app, 'celery.project')
    return app


@sound()
def every_queue_named() -> Celery:
    return make_app(QUEUES=['export', 'celery', 'platform.fifo', 'msg', 'export'])


@sound()
def fifo_work_queues() -> Celery:
    return make_app(QUEUES=['export.fifo', 'msg.fifo'])


@sound()
def many_queues() -> Celery:
    app = make_app(QUEUES=['export', 'msg', *(f'queue-{number}' for number in range(30))])
    for number in range(30):
        add(app, f'queue-{number}.project')
    return app


@sound()
def queues_with_dots() -> Celery:
    app = make_app(QUEUES=['export.high', 'export', 'msg.low.fifo', 'msg'])
    add(app, 'export.archive', queue='export.high')
    return app


@sound()
def no_queues_without_dots() -> Celery:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export.high', 'msg.low'], broker_url='amqp://localhost:1//'))
    add(app, 'export.project', queue='export.high')
    return app


@sound()
def another_prefix() -> Celery:
    return make_app(QUEUE_PREFIX='prod')


@sound(environ={'QUEUE_PREFIX': 'staging', 'CELERY_QUEUES': '["export", "msg", "report"]', 'RESULT_DB_HOST': 'db'})
def environment() -> Celery:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config())
    add(app, 'report.make')
    return app


@sound(environ={'CELERY_BROKER_URL': 'amqp://localhost:1//', 'CELERY_RESULT_BACKEND': 'db+postgresql://h:1/d'})
def urls_in_the_environment() -> Celery:
    return make_app(result_backend='db+postgresql://h:1/d')


@sound()
def subclass() -> Celery:
    class Ours(Config):
        QUEUE_NAME_PREFIX = 'ours'
        RESULT_DB_HOST = 'results.example.org'
        task_time_limit = 60

    return make_app(Ours)


@sound()
def exchange_of_another_name() -> Celery:
    return make_app(task_default_exchange='cadasta')


@sound()
def queues_of_its_own() -> Celery:
    return make_app(task_queues=queues(work_queue('report')))


@sound()
def quorum_queues() -> Celery:
    arguments = {'x-queue-type': 'quorum'}
    names = ('celery', 'export', 'msg')
    return make_app(
        broker_url='amqp://localhost:1//',
        task_queues=[PLATFORM, *(work_queue(name, queue_arguments=arguments) for name in names)],
        broker_transport_options={'confirm_publish': True},
        worker_detect_quorum_queues=True,
    )


class Pooled(Task):
    """A task that takes its connection from the app's pool, without `producer_or_acquire`."""

    abstract = True

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        with self.app.pool.acquire(block=True) as connection, connection.Producer() as producer:
            return super().apply_async(args, kwargs, producer=producer, **options)


@sound()
def producers_on_a_connection_of_the_pool() -> Celery:
    app = make_app(broker_url='amqp://localhost:1//')
    add(app, 'export.pooled', base=Pooled)
    return app


@sound()
def priorities() -> Celery:
    app = make_app(broker_url='amqp://localhost:1//', task_queue_max_priority=10, task_default_priority=5)
    add(app, 'export.archive', priority=9)
    return app


@sound()
def queues_of_other_exchanges() -> Celery:
    alien = Queue('alien', Exchange('aliens', 'headers'), binding_arguments={'x-match': 'all'})
    return make_app(task_queues=queues(Broadcast('everyone'), alien, Queue('plain', Exchange('plain', 'direct'))))


@sound()
def queue_added_by_hand() -> Celery:
    app = make_app(task_create_missing_queues=True)
    app.amqp.queues.add(work_queue('report'))
    add(app, 'report.make')
    return app


@sound()
def queues_made_when_needed() -> Celery:
    app = make_app(task_create_missing_queues=True)
    add(app, 'report.make')
    return app


@sound()
def task_in_another_queue() -> Celery:
    app = make_app()
    add(app, 'export.archive', queue='msg')
    return app


@sound()
def task_in_a_queue_object() -> Celery:
    app = make_app()
    add(app, 'report.make', queue=work_queue('report'))
    return app


@sound()
def task_with_a_routing_key() -> Celery:
    app = make_app()
    add(app, 'report.make', routing_key='export')
    return app


@sound()
def task_with_an_exchange() -> Celery:
    app = make_app()
    add(app, 'export.archive', exchange='archive')
    return app


@sound()
def task_with_all_kinds_of_options() -> Celery:
    app = make_app()
    add(
        app,
        'export.archive',
        acks_late=True,
        rate_limit='1/s',
        time_limit=3,
        soft_time_limit=2,
        expires=60,
        compression='gzip',
        max_retries=5,
        autoretry_for=(OSError,),
        throws=(ValueError,),
        priority=3,
    )
    return app


@sound()
def task_without_results() -> Celery:
    app = make_app()
    add(app, 'export.archive', ignore_result=True)
    return app


@sound()
def no_task_with_results() -> Celery:
    return make_app(task_ignore_result=True)


@sound()
def annotation_without_results() -> Celery:
    return make_app(task_annotations={'export.project': {'ignore_result': True}})


@sound()
def beat_entry_without_results() -> Celery:
    nightly = {'task': 'export.project', 'schedule': 60, 'args': (1,), 'options': {'ignore_result': True}}
    return make_app(beat_schedule={'nightly': nightly})


@sound()
def delays_that_sqs_bears() -> Celery:
    nightly = {'task': 'export.project', 'schedule': 60, 'args': (1,), 'options': {'countdown': 43200, 'time_limit': 9}}
    app = make_app(beat_schedule={'nightly': nightly}, task_soft_time_limit=5, task_time_limit=5)
    add(
        app,
        'export.archive',
        default_retry_delay=43200,
        autoretry_for=(OSError,),
        retry_backoff=True,
        retry_backoff_max=43200,
    )
    # It does nothing: nobody retries the task by itself.
    add(app, 'export.manual', retry_backoff=True, retry_backoff_max=86400)
    add(app, 'export.now', default_retry_delay=None, autoretry_for=(OSError,), retry_kwargs={'max_retries': 5})
    return app


@sound()
def delays_that_other_brokers_bear() -> Celery:
    app = make_app(broker_url='redis://localhost:1/0')
    add(app, 'export.archive', default_retry_delay=86400)
    return app


@sound()
def tasks_with_all_kinds_of_arguments() -> Celery:
    def positional(project: int, /, page: int, *pages: int, colour: bool, size: int = 1, **options: int) -> None: ...

    def bound(self: Task, project: int) -> None: ...

    class Report(Task):
        name = 'export.report'

        def run(self, project: int, *, page: int) -> None: ...

    app = make_app()
    add(app, 'export.positional', positional)
    add(app, 'export.bound', bound, bind=True)
    add(app, 'export.untyped', typing=False)
    app.register_task(Report())
    return app


@sound()
def tasks_that_take_models() -> Celery:
    from pydantic import BaseModel

    class Project(BaseModel):
        id: int

    def export(project: Project, other: Project | None = None) -> None: ...

    export.__annotations__.update(project=Project, other=Project | None)
    app = make_app()
    add(app, 'export.model', export, pydantic=True)
    return app


@sound()
def shared_tasks() -> Celery:
    @shared_task(name='celery.shared_by_the_tests')
    def shared() -> None: ...

    return make_app()


@sound()
def no_routes_of_its_own() -> Celery:
    return make_app(task_routes=None)


@sound()
def routes_in_a_map() -> Celery:
    app = make_app(
        task_routes={
            'report.make': {'queue': 'export'},
            'legacy.*': {'routing_key': 'msg', 'priority': 3},
            re.compile(r'(video|image)\..*'): 'export',
            'export.archive': 'msg',
        }
    )
    for name in ('report.make', 'legacy.send', 'image.scale', 'export.archive'):
        add(app, name)
    return app


@sound()
def routes_in_a_list() -> Celery:
    app = make_app(task_routes=([('report.*', 'export'), ('video.*', {'queue': 'msg'})], lambda *args, **options: None))
    for name in ('report.make', 'video.cut'):
        add(app, name)
    return app


@sound()
def routes_for_the_rest() -> Celery:
    app = make_app(task_routes={'legacy.*': {'routing_key': 'export'}, '*': 'celery'})
    for name in ('legacy.send', 'whatever'):
        add(app, name)
    return app


@sound()
def routes_of_one_queue_to_another() -> Celery:
    return make_app(task_routes={'msg.*': 'export'})


@sound()
def routes_by_arguments_that_nobody_can_make_up() -> Celery:
    return make_app(QUEUES=['export', 'msg', 'shard-0', 'shard-1'], task_routes=even_or_odd)


@sound()
def route_to_a_queue_on_another_exchange() -> Celery:
    private = Queue('private', Exchange('private'), routing_key='private')
    return make_app(task_queues=queues(private), task_routes={'export.project': 'private'})


@sound()
def routes_that_no_queue_of_another_name_minds() -> Celery:
    def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any) -> Any:
        key = name.partition('.')[0]
        return {'queue': Queue(key, Exchange(key), routing_key=key), 'exchange': key, 'declare': [PLATFORM]}

    return make_app(task_routes=route)


@sound()
def apply_async_that_always_names_its_queue() -> Celery:
    class Archived(Task):
        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            return super().apply_async(args, kwargs, **{**options, 'queue': 'msg'})

    app = make_app()
    add(app, 'export.archive', base=Archived)
    return app


@sound()
def router_for_one_task() -> Celery:
    app = routed_later({'report.make': {'queue': 'export'}, 'export.project': 'msg'}, ...)
    add(app, 'report.make')
    return app


@sound()
def router_that_looks_at_keyword_arguments() -> Celery:
    def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any) -> Any:
        return {'queue': 'msg' if kwargs['project'] else 'export'} if name == 'export.project' else None

    return routed_later(route, ...)


@sound()
def router_that_takes_what_it_finds_in_keyword_arguments() -> Celery:
    return routed_later(lambda name, args, kwargs, *rest, **kw: {'queue': 'msg'} if kwargs.get('urgent') else None, ...)


@sound()
def router_that_looks_at_positional_arguments() -> Celery:
    class Router:
        def route_for_task(self, name: str, args: Any = None, kwargs: Any = None) -> Any:
            return {'queue': 'msg' if args[0] else 'export'} if name == 'export.project' else None

    return routed_later(Router(), ...)


@sound()
def router_object_of_its_own() -> Celery:
    app = make_app()
    app.amqp.router = app.amqp.Router(queues={**app.amqp.queues, 'reports': app.amqp.queues['export']})
    add(app, 'report.make', queue='reports')
    return app


@sound()
def apply_async_that_needs_its_callers() -> Celery:
    class Locked(Task):
        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            socket.create_connection(('localhost', 1), timeout=0.1)
            return super().apply_async(args, kwargs, **options)

    class Tenant(Task):
        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            return super().apply_async(args, kwargs, headers={'tenant': 'kibera'}, **options)

    class Silent(Task):
        def apply_async(self, *args: Any, **options: Any) -> None: ...

    app = make_app()
    add(app, 'export.locked', base=Locked)
    add(app, 'export.tenant', base=Tenant)
    add(app, 'export.silent', base=Silent)
    return app


@sound()
def beat_schedule() -> Celery:
    return make_app(
        beat_schedule={
            'nightly': {'task': 'export.project', 'schedule': crontab(hour='3'), 'args': (1,)},
            'elsewhere': {'task': 'msg.alarm', 'schedule': timedelta(hours=1), 'kwargs': {'text': 'Hello'}},
            'options': {
                'task': 'export.project',
                'schedule': 60.0,
                'kwargs': {'project': 1},
                'options': {'queue': 'msg', 'expires': 30, 'headers': {'tenant': 'kibera'}, 'countdown': 5},
            },
        }
    )


@sound()
def periodic_task() -> Celery:
    app = make_app()

    @app.on_after_finalize.connect(weak=False)
    def schedule(sender: Celery, **kwargs: Any) -> None:
        sender.add_periodic_task(60, sender.tasks['export.project'].s(1), name='every minute')

    return app


@sound()
def predefined_queues() -> Celery:
    names = [f'dev-{name}' for name in ('celery', 'export', 'msg', 'platform.fifo')]
    defined = predefined('https://sqs.eu-west-1.amazonaws.com/1/{}', *names)
    return make_app(broker_transport_options={'predefined_queues': defined})


@sound()
def predefined_queues_with_a_prefix_in_their_urls() -> Celery:
    options = {
        'queue_name_prefix': '',
        'predefined_queues': predefined('https://sqs.eu-west-1.amazonaws.com/1/prod-{}'),
    }
    return make_app(broker_transport_options=options)


@sound()
def predefined_queues_with_a_role() -> Celery:
    names = [f'dev-{name}' for name in ('celery', 'export', 'msg', 'platform.fifo')]
    return make_app(
        broker_transport_options={
            'predefined_queues': predefined('https://sqs.eu-west-1.amazonaws.com/1/{}', *names),
            'sts_role_arn': 'arn:aws:iam::1:role/worker',
            'region': None,
        }
    )


@sound()
def other_databases() -> Celery:
    return make_app(result_backend='db+sqlite:///results.sqlite')


@sound()
def database_of_an_old_spelling() -> Celery:
    app = make_app()
    app.conf.result_backend = 'database'
    app.conf.database_url = 'mysql://localhost:1/results'
    return app


@sound()
def database_backend_of_its_own() -> Celery:
    app = make_app()
    app.conf.result_backend = f'{__name__}:OurBackend'
    add(app, 'export.archive', backend=_unconnected(app))
    return app


class OurBackend(DatabaseBackend):
    """Results go to a database, in a way of this worker's own."""


def _unconnected(app: Celery) -> DatabaseBackend:
    app.conf.database_create_tables_at_setup = False
    return OurBackend(app=app, url='sqlite://')


@sound(is_worker=False)
def producer() -> Celery:
    app = Celery('web', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'msg']))
    return app


@sound(is_worker=False)
def producer_without_a_config() -> Celery:
    app = Celery('web', set_as_current=False)
    config = Config(QUEUES=['export', 'msg'])
    settings = config.to_dict()
    app.conf.update(settings, QUEUES=['export', 'msg'])
    return app


@sound()
def everything_by_hand() -> Celery:
    app = Celery('export', set_as_current=False)
    work = [work_queue(name) for name in ('celery', 'export', 'msg')]

    def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any) -> dict[str, Any]:
        key = options.get('routing_key') or name.partition('.')[0]
        queue = options.get('queue') or next(queue for queue in work if queue.name == key)
        return {'queue': queue, 'declare': [queue, PLATFORM]}

    app.conf.update(
        broker_url='redis://localhost:1',
        task_queues=[*work, PLATFORM],
        task_routes=route,
        task_default_exchange=EXCHANGE.name,
        task_default_exchange_type=EXCHANGE.type,
        result_backend='db+postgresql+psycopg2://localhost:1/results',
        task_track_started=True,
        PLATFORM_QUEUE_NAME='platform.fifo',
        CHORD_UNLOCK_MAX_RETRIES=10,
    )
    add(app, 'export.project')
    when(signals.worker_init, app, lambda: setup_app(app, throw=True))
    return app


@sound()
def namespace() -> Celery:
    class Settings:
        OURS_TASK_TIME_LIMIT = 60

    app = make_app()
    app.conf.update(Settings.__dict__)
    return app


@sound()
def app_class_of_its_own() -> Celery:
    class Ours(Celery):
        def send_task(self, name: str, *args: Any, **options: Any) -> Any:
            return super().send_task(name, *args, **{'headers': {'origin': 'ours'}, **options})

    app = Ours('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'msg']))
    add(app, 'export.project')
    return app


@sound()
def limit_of_chords_of_its_own() -> Celery:
    return make_app(CHORD_UNLOCK_MAX_RETRIES=10, task_annotations={'celery.chord_unlock': {'max_retries': 5}})


@sound()
def worker_with_a_queue_of_its_own() -> Celery:
    return make_app(worker_direct=True)


@sound()
def worker_with_another_pool() -> Celery:
    return make_app(worker_pool='gevent', worker_concurrency='auto')


@sound()
def worker_of_some_queues() -> Celery:
    app = make_app()
    app.amqp.queues.select(['export'])
    return app


@sound()
def worker_that_fails_to_prepare() -> Celery:
    def prepare() -> None:
        app.conf.task_time_limit = 1
        raise ConnectionRefusedError('no database here')

    app = make_app()
    when(signals.worker_init, app, prepare)
    return app


@sound()
def listeners_that_use_the_network() -> Celery:
    def report(sender: Any = None, **kwargs: Any) -> None:
        if sender == 'export.heard':
            raise SystemExit('a task was sent')

    app = make_app()
    add(app, 'export.heard')
    signals.before_task_publish.connect(report, weak=False)
    signals.after_task_publish.connect(report, weak=False)
    return app


@sound()
def events_and_compression() -> Celery:
    return make_app(task_send_sent_event=True, worker_send_task_events=True, task_compression='gzip')


@sound()
def more_results() -> Celery:
    return make_app(result_extended=True, result_expires=3600, task_store_errors_even_if_ignored=True)


@sound()
def no_retry_of_publishing() -> Celery:
    return make_app(task_publish_retry=False, broker_pool_limit=None)


@sound()
def first_protocol() -> Celery:
    return make_app(task_protocol=1)


@sound()
def used_before() -> Celery:
    app = make_app(broker_url='memory://', result_backend='db+sqlite://')
    app.tasks['export.project'].apply_async((1,))
    setup_app(app, throw=True)
    return app


@sound()
def module_of_tasks() -> Celery:
    return make_app(imports=['tests.conformance.apps'], include=['tests.conformance'])
