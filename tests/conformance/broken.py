"""Apps that break a rule, each with the number of the rule that must catch it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery import Celery, Task, signals
from celery.backends.base import BaseBackend
from kombu import Exchange, Queue, binding, compression, serialization
from kombu.common import Broadcast

from cadasta.workertoolbox.conf import Config

from .apps import EXCHANGE, PLATFORM, Case, add, make_app, queues, routed_later, work_queue

BROKEN: dict[str, Case] = {}


def breaks(rule: int, **case: Any) -> Callable[[Callable[[], Celery]], Callable[[], Celery]]:
    def register(make: Callable[[], Celery]) -> Callable[[], Celery]:
        BROKEN[make.__name__] = Case(make, rule, **case)
        return make

    return register


# 1: the default queue is `celery`; the platform queue is `platform.fifo`, exists, and gets a copy of every message


@breaks(1)
def default_queue_of_another_name() -> Celery:
    return make_app(QUEUES=['export', 'msg', 'default'], task_default_queue='default')


@breaks(1)
def default_queue_renamed_later() -> Celery:
    app = make_app()
    app.conf.task_default_queue = 'export'
    return app


@breaks(1)
def platform_queue_of_another_name() -> Celery:
    return make_app(PLATFORM_QUEUE_NAME='platform')


@breaks(1)
def platform_queue_of_another_name_in_a_subclass() -> Celery:
    class Ours(Config):
        PLATFORM_QUEUE_NAME = 'audit.fifo'

    return make_app(Ours)


@breaks(1, environ={'CELERY_PLATFORM_QUEUE_NAME': 'audit.fifo'})
def platform_queue_of_another_name_in_the_environment() -> Celery:
    return make_app()


@breaks(1)
def platform_queue_taken_out_later() -> Celery:
    app = make_app()
    app.conf.task_queues = queues(without='platform.fifo')
    return app


@breaks(1)
def platform_queue_bound_to_one_key() -> Celery:
    return make_app(task_queues=queues(Queue('platform.fifo', EXCHANGE, routing_key='export'), without='platform.fifo'))


@breaks(1)
def platform_queue_bound_to_keys_of_one_word() -> Celery:
    return make_app(task_queues=queues(Queue('platform.fifo', EXCHANGE, routing_key='*'), without='platform.fifo'))


@breaks(1)
def platform_queue_on_another_exchange() -> Celery:
    other = Queue('platform.fifo', Exchange('platform', 'topic'), routing_key='#')
    return make_app(task_queues=queues(other, without='platform.fifo'))


@breaks(1)
def celery_without_any_configuration() -> Celery:
    app = Celery('export', set_as_current=False)
    add(app, 'export.project')
    return app


@breaks(1)
def topology_without_a_config() -> Celery:
    app = Celery('export', set_as_current=False)
    config = Config(QUEUES=['export', 'msg'])
    app.conf.update(task_queues=config.task_queues, task_routes=config.task_routes, result_backend='db+sqlite://')
    return app


@breaks(1)
def transport_of_another_broker() -> Celery:
    return make_app(broker_url='redis://localhost:1/0', broker_transport='sqs')


@breaks(1)
def config_that_was_copied_beside_a_broker() -> Celery:
    app = Celery('export', set_as_current=False, broker='redis://localhost:1/0')
    app.conf.update(Config(QUEUES=['export', 'msg']))
    return app


# 2: the default exchange is a topic exchange, and all of the architecture's queues are bound to it


@breaks(2)
def queues_of_ones_own_without_the_default_queue() -> Celery:
    return make_app(task_queues=queues(without='celery'))


@breaks(2)
def direct_exchange() -> Celery:
    return make_app(task_default_exchange_type='direct')


@breaks(2)
def fanout_exchange_in_a_subclass() -> Celery:
    class Ours(Config):
        task_default_exchange_type = 'fanout'

    return make_app(Ours)


@breaks(2)
def headers_exchange() -> Celery:
    return make_app(task_default_exchange_type='headers')


@breaks(2, environ={'CELERY_TASK_DEFAULT_EXCHANGE_TYPE': 'direct'})
def direct_exchange_in_the_environment() -> Celery:
    return make_app()


@breaks(2)
def exchange_type_changed_later() -> Celery:
    app = make_app()
    app.conf.task_default_exchange_type = 'direct'
    return app


@breaks(2)
def exchange_renamed_later() -> Celery:
    app = make_app()
    app.conf.task_default_exchange = 'other'
    return app


@breaks(2)
def one_queue_on_another_exchange() -> Celery:
    return make_app(task_queues=queues(Queue('msg', Exchange('messages', 'topic'), routing_key='msg'), without='msg'))


@breaks(2)
def one_queue_taken_out_later() -> Celery:
    app = make_app()
    app.conf.task_queues = queues(without='msg')
    return app


@breaks(2)
def a_queue_that_task_queues_lacks() -> Celery:
    return make_app(QUEUES=['export', 'msg', 'report'], task_queues=queues())


@breaks(2)
def one_exchange_of_two_types() -> Celery:
    return make_app(task_queues=queues(Queue('extra', Exchange('task_exchange', 'direct'), routing_key='extra')))


# 3: a message for `celery` or any of `QUEUES` reaches exactly that queue and the platform queue


@breaks(3)
def second_queue_with_the_same_key() -> Celery:
    app = make_app()
    app.amqp.queues.add(Queue('copy', EXCHANGE, routing_key='export'))
    return app


@breaks(3)
def second_queue_with_all_keys() -> Celery:
    return make_app(task_queues=queues(Queue('audit', EXCHANGE, routing_key='#')))


@breaks(3)
def second_queue_with_two_bindings() -> Celery:
    both = Queue('both', bindings=[binding(EXCHANGE, 'export'), binding(EXCHANGE, 'msg')])
    return make_app(task_queues=queues(both))


@breaks(3)
def queue_bound_by_another_key_than_its_name() -> Celery:
    return make_app(task_queues=queues(Queue('msg', EXCHANGE, routing_key='message'), without='msg'))


@breaks(3)
def router_taken_out_later() -> Celery:
    return routed_later()


@breaks(3)
def everything_routed_to_the_default_queue() -> Celery:
    return routed_later({'*': {'queue': 'celery'}})


@breaks(3)
def messages_of_one_queue_routed_to_another() -> Celery:
    return routed_later({'msg.*': {'queue': 'export'}}, ...)


@breaks(3)
def foreign_router_that_loses_retries() -> Celery:
    # A retry has an exchange, so Celery declares nothing for it.
    return routed_later({'export.*': {'routing_key': 'export'}}, ...)


@breaks(3)
def foreign_router_that_does_not_heed_the_queue_of_a_call() -> Celery:
    return routed_later({'export.*': {'queue': 'export', 'routing_key': 'export'}}, ...)


@breaks(3)
def router_that_declares_nothing() -> Celery:
    def route(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {'exchange': 'task_exchange', 'routing_key': name.partition('.')[0]}

    return routed_later(route)


@breaks(3)
def router_that_declares_the_work_queue_alone() -> Celery:
    def route(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        key = name.partition('.')[0]
        return {'queue': work_queue(key), 'exchange': EXCHANGE, 'routing_key': key}

    return routed_later(route)


@breaks(3)
def router_to_a_direct_exchange() -> Celery:
    def route(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        key = name.partition('.')[0]
        return {'queue': Queue(key, Exchange(key), routing_key=key)}

    return routed_later(route)


@breaks(3)
def router_that_knows_registered_tasks_alone() -> Celery:
    known = {'export.project': {'queue': 'export'}, 'msg.send': {'queue': 'msg'}}
    return make_app(task_routes=lambda name, *args, **kwargs: known[name])


@breaks(3)
def router_that_does_not_look_at_the_explicit_queue_of_a_retry() -> Celery:
    by_name: dict[str, Any] = {}

    def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any) -> dict[str, Any]:
        # Matched by the name alone: a message that goes elsewhere finds nothing declared.
        queue = by_name.get(name.partition('.')[0], by_name['celery'])
        return {'queue': queue, 'declare': [queue, PLATFORM], 'exchange': EXCHANGE, 'routing_key': 'celery'}

    by_name.update({name: work_queue(name) for name in ('celery', 'export', 'msg')})
    return routed_later(route)


@breaks(3)
def route_that_always_raises() -> Celery:
    return make_app(task_routes=lambda name, *args, **kwargs: 1 / 0)


@breaks(3)
def foreign_route_that_always_raises() -> Celery:
    return routed_later('nosuch.module.Router', ...)


@breaks(3)
def routes_replaced_later() -> Celery:
    app = routed_later({'legacy.*': {'queue': 'export'}})
    add(app, 'legacy.project')
    return app


# 4: every registered task, published the way the app would publish it, does the same


@breaks(4)
def task_named_after_no_queue() -> Celery:
    app = make_app()
    add(app, 'report.make')
    return app


@breaks(4)
def task_without_a_name_of_its_own() -> Celery:
    app = make_app()

    @app.task(shared=False)
    def make_report() -> None: ...

    return app


@breaks(4)
def task_class_named_after_no_queue() -> Celery:
    class Report(Task):
        name = 'report.make'

        def run(self) -> None: ...

    app = make_app()
    app.register_task(Report())
    return app


@breaks(4)
def task_in_the_platform_queue() -> Celery:
    app = make_app()
    add(app, 'export.archive', queue='platform.fifo')
    return app


@breaks(4)
def task_in_an_unknown_queue() -> Celery:
    app = make_app()
    add(app, 'export.archive', queue='archive')
    return app


@breaks(4)
def task_with_a_key_of_no_queue() -> Celery:
    app = make_app()
    add(app, 'export.archive', routing_key='archive')
    return app


@breaks(4)
def task_with_an_exchange_of_its_own_and_no_router() -> Celery:
    app = routed_later()
    add(app, 'export.archive', exchange='archive', routing_key='archive')
    return app


@breaks(4)
def annotation_with_a_key_of_no_queue() -> Celery:
    return make_app(task_annotations={'export.project': {'routing_key': 'archive'}})


@breaks(4)
def annotation_of_a_task_of_celery() -> Celery:
    return make_app(task_annotations={'celery.backend_cleanup': {'queue': 'platform.fifo'}})


@breaks(4)
def route_to_a_queue_that_is_not_there() -> Celery:
    return make_app(task_routes={'export.project': 'archive'})


@breaks(4)
def route_to_a_key_that_no_queue_serves() -> Celery:
    return make_app(task_routes={'export.project': {'queue': 'export', 'routing_key': 'archive'}})


@breaks(4)
def route_to_the_platform_queue() -> Celery:
    return make_app(task_routes={'export.project': {'queue': 'platform.fifo'}})


def even_or_odd(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any) -> Any:
    """A route that asks for a number, which the tests cannot know."""
    return {'queue': f'shard-{kwargs["project"] % 2}'} if name == 'export.project' else None


@breaks(4)
def route_that_raises_for_one_task() -> Celery:
    def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any) -> Any:
        return 1 / 0 if name == 'export.project' else None

    return make_app(task_routes=route)


@breaks(4)
def route_that_cannot_use_the_arguments_of_a_beat_entry() -> Celery:
    nightly = {'task': 'export.project', 'schedule': 60, 'kwargs': {'project': 'kibera'}}
    queues = ['export', 'msg', 'shard-0', 'shard-1']
    return make_app(QUEUES=queues, task_routes=even_or_odd, beat_schedule={'nightly': nightly})


@breaks(4)
def foreign_router_that_loses_the_retries_of_one_task() -> Celery:
    return routed_later({'export.project': {'routing_key': 'export'}}, ...)


@breaks(4)
def router_of_ones_own_that_loses_the_retries_of_one_task() -> Celery:
    def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **kw: Any) -> dict[str, Any]:
        key = 'msg' if name == 'export.project' else options.get('routing_key') or name.partition('.')[0]
        queue = options.get('queue') or work_queue(key)
        return {'queue': queue, 'declare': [queue, PLATFORM]}

    return routed_later(route)


@breaks(4)
def foreign_router_with_a_key_of_its_own() -> Celery:
    return routed_later({'export.project': {'queue': 'msg', 'routing_key': 'export'}}, ...)


@breaks(4)
def foreign_router_with_an_exchange_of_its_own() -> Celery:
    return routed_later({'export.project': {'exchange': 'other', 'routing_key': 'export'}}, ...)


@breaks(4)
def foreign_router_to_the_platform_queue() -> Celery:
    return routed_later({'export.project': {'queue': 'platform.fifo'}}, ...)


@breaks(4)
def foreign_router_to_a_queue_on_another_exchange() -> Celery:
    app = make_app(task_queues=queues(Queue('private', Exchange('private'), routing_key='private')))
    app.conf.task_routes = [{'export.project': {'queue': 'private'}}, app.conf.task_routes]
    return app


@breaks(4)
def foreign_router_to_a_broadcast_queue() -> Celery:
    app = make_app(task_queues=queues(Broadcast('everyone')))
    app.conf.task_routes = [{'export.project': {'queue': 'everyone'}}, app.conf.task_routes]
    return app


@breaks(4)
def foreign_router_to_a_queue_that_is_made_for_it() -> Celery:
    app = make_app(task_create_missing_queues=True)
    app.conf.task_routes = [{'export.project': {'queue': 'private'}}, app.conf.task_routes]
    return app


@breaks(4)
def beat_entry_of_an_unknown_task() -> Celery:
    return make_app(beat_schedule={'nightly': {'task': 'report.make', 'schedule': 60}})


@breaks(4)
def beat_entry_in_an_unknown_queue() -> Celery:
    nightly = {'task': 'export.project', 'schedule': 60, 'args': (1,), 'options': {'queue': 'night'}}
    return make_app(beat_schedule={'nightly': nightly})


@breaks(4)
def beat_entry_with_a_key_of_no_queue() -> Celery:
    app = make_app()
    nightly = {'task': 'export.project', 'schedule': 60, 'args': (1,), 'options': {'routing_key': 'night'}}
    app.conf.beat_schedule = {'nightly': nightly}
    return app


@breaks(4)
def beat_entry_without_the_arguments_of_its_task() -> Celery:
    return make_app(beat_schedule={'nightly': {'task': 'export.project', 'schedule': 60}})


@breaks(4)
def periodic_task_in_the_platform_queue() -> Celery:
    app = make_app()

    @app.on_after_finalize.connect(weak=False)
    def schedule(sender: Celery, **kwargs: Any) -> None:
        sender.add_periodic_task(60, sender.tasks['export.project'].s(1).set(queue='platform.fifo'))

    return app


# 5: celery.chord_unlock gives up after a whole number of retries; a chord can be published


def when(signal: Any, app: Celery, function: Callable[[], Any]) -> None:
    """Call a function when the app's worker sends a signal."""

    def receive(sender: Any, instance: Any = None, **kwargs: Any) -> None:
        if (instance or sender).app is app:
            function()

    signal.connect(receive, weak=False)


@breaks(5)
def chords_without_an_end() -> Celery:
    app = make_app()
    app.conf.CHORD_UNLOCK_MAX_RETRIES = None
    return app


@breaks(5)
def chords_with_a_limit_that_is_no_number() -> Celery:
    app = make_app()
    app.conf.CHORD_UNLOCK_MAX_RETRIES = '43200'
    return app


@breaks(5)
def chords_with_an_infinite_limit() -> Celery:
    return make_app(task_annotations={'celery.chord_unlock': {'max_retries': float('inf')}})


@breaks(5)
def chords_with_half_a_retry() -> Celery:
    return make_app(task_annotations={'celery.chord_unlock': {'max_retries': 1.5}})


@breaks(5)
def chords_with_fewer_than_no_retries() -> Celery:
    return make_app(task_annotations={'celery.chord_unlock': {'max_retries': -1}})


@breaks(5)
def limit_taken_away_when_the_worker_starts() -> Celery:
    app = make_app()
    when(signals.worker_init, app, lambda: setattr(app.tasks['celery.chord_unlock'], 'max_retries', None))
    return app


@breaks(5)
def settings_copied_out_of_a_config() -> Celery:
    app = Celery('export', set_as_current=False)
    app.conf.update(Config(QUEUES=['export', 'msg']).to_dict())
    return app


@breaks(5)
def router_without_a_queue() -> Celery:
    def route(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        key = name.partition('.')[0]
        return {'exchange': EXCHANGE, 'routing_key': key, 'declare': [work_queue(key), PLATFORM]}

    return routed_later(route)


@breaks(5)
def chord_unlock_in_an_unknown_queue() -> Celery:
    return routed_later({'celery.chord_unlock': {'exchange': 'chords'}}, ...)


# 6: results go to a database backend, of every task; starts are tracked, of every task


@breaks(6)
def results_in_redis() -> Celery:
    return make_app(result_backend='redis://localhost:1/0')


@breaks(6)
def results_in_files_in_a_subclass() -> Celery:
    class Ours(Config):
        result_backend = 'file:///nowhere'

    return make_app(Ours)


@breaks(6)
def results_in_messages() -> Celery:
    app = make_app()
    app.conf.result_backend = 'rpc://'
    return app


@breaks(6)
def results_nowhere() -> Celery:
    return make_app(result_backend=None)


@breaks(6)
def results_in_a_backend_that_does_not_exist() -> Celery:
    return make_app(result_backend='nothing.of:TheKind')


@breaks(6)
def results_in_a_database_that_does_not_exist() -> Celery:
    return make_app(result_backend='db+postgres://cadasta:cadasta@localhost/cadasta')


@breaks(6, environ={'CELERY_RESULT_BACKEND': 'cache+memory://'})
def results_in_memory_in_the_environment() -> Celery:
    return make_app(result_backend='db+sqlite://')


@breaks(6)
def task_with_a_backend_of_its_own() -> Celery:
    app = make_app()
    add(app, 'export.archive', backend=BaseBackend(app))
    return app


@breaks(6)
def task_given_a_backend_later() -> Celery:
    app = make_app()
    app.tasks['export.project'].backend = BaseBackend(app)
    return app


@breaks(6)
def starts_not_tracked() -> Celery:
    return make_app(task_track_started=False)


@breaks(6, environ={'CELERY_TASK_TRACK_STARTED': 'false'})
def starts_not_tracked_in_the_environment() -> Celery:
    return make_app()


@breaks(6)
def start_of_one_task_not_tracked() -> Celery:
    app = make_app()
    add(app, 'export.archive', track_started=False)
    return app


@breaks(6)
def annotation_without_starts() -> Celery:
    return make_app(task_annotations={'*': {'track_started': False}})


# 7: tasks are really sent (not eager), with a serializer that the platform can read without unpickling


@breaks(7)
def eager() -> Celery:
    return make_app(task_always_eager=True)


@breaks(7)
def eager_later() -> Celery:
    app = make_app()
    app.conf.task_always_eager = True
    return app


@breaks(7, environ={'CELERY_TASK_ALWAYS_EAGER': 'yes'})
def eager_in_the_environment() -> Celery:
    return make_app()


@breaks(7)
def pickle() -> Celery:
    return make_app(task_serializer='pickle', accept_content=['pickle', 'json'])


@breaks(7)
def yaml() -> Celery:
    return make_app(task_serializer='yaml', accept_content=['json', 'yaml'])


@breaks(7)
def compression_of_its_own() -> Celery:
    compression.register(zlib.compress, zlib.decompress, 'application/x-ours', aliases=['ours'])
    return make_app(task_compression='ours')


@breaks(7)
def pickle_for_one_task() -> Celery:
    app = make_app()
    add(app, 'export.archive', serializer='pickle')
    return app


@breaks(7)
def pickle_in_an_annotation() -> Celery:
    return make_app(task_annotations={'export.project': {'serializer': 'pickle'}})


@breaks(7)
def pickle_in_a_beat_entry() -> Celery:
    nightly = {'task': 'export.project', 'schedule': 60, 'args': (1,), 'options': {'serializer': 'pickle'}}
    return make_app(beat_schedule={'nightly': nightly})


@breaks(7)
def serializer_that_nobody_has() -> Celery:
    app = make_app()
    add(app, 'export.archive', serializer='nobody-has-it')
    return app


@breaks(7)
def serializer_of_its_own() -> Celery:
    serialization.register('ours', repr, eval, 'application/x-ours', 'utf-8')
    return make_app(task_serializer='ours')


# 8: on SQS the queues carry a prefix


@breaks(8)
def empty_prefix() -> Celery:
    return make_app(QUEUE_PREFIX='')


@breaks(8, environ={'QUEUE_PREFIX': ''})
def empty_prefix_in_the_environment() -> Celery:
    return make_app()


@breaks(8)
def empty_prefix_in_the_options_of_the_transport() -> Celery:
    return make_app(broker_transport_options={'queue_name_prefix': ''})


@breaks(8)
def options_of_the_transport_replaced_later() -> Celery:
    app = make_app(broker_url='sqs://')
    app.conf.broker_transport_options = {'region': 'eu-west-1'}
    return app


def predefined(url: str, *names: str) -> dict[str, dict[str, str]]:
    names = names or ('celery', 'export', 'msg', 'platform.fifo')
    return {name: {'url': url.format(name)} for name in names}


@breaks(8)
def predefined_queues_without_a_prefix() -> Celery:
    options = {'queue_name_prefix': '', 'predefined_queues': predefined('https://sqs.eu-west-1.amazonaws.com/1/{}')}
    return make_app(broker_transport_options=options)


@breaks(8)
def predefined_queues_without_one() -> Celery:
    defined = predefined('https://sqs.eu-west-1.amazonaws.com/1/prod-{}', 'celery', 'export', 'platform.fifo')
    return make_app(broker_transport_options={'queue_name_prefix': '', 'predefined_queues': defined})


@breaks(8)
def predefined_queues_without_the_prefix_in_their_names() -> Celery:
    defined = predefined('https://sqs.eu-west-1.amazonaws.com/1/dev-{}')
    return make_app(broker_transport_options={'predefined_queues': defined})


@breaks(8)
def predefined_platform_queue_that_is_no_fifo_queue() -> Celery:
    defined = predefined('https://sqs.eu-west-1.amazonaws.com/1/{}', 'dev-celery', 'dev-export', 'dev-msg')
    defined['dev-platform.fifo'] = {'url': 'https://sqs.eu-west-1.amazonaws.com/1/dev-platform'}
    return make_app(broker_transport_options={'predefined_queues': defined})


# 9: a worker with default options leaves the platform queue alone


@breaks(9)
def platform_queue_selected_when_the_worker_starts() -> Celery:
    app = make_app()
    when(signals.worker_init, app, lambda: app.amqp.queues.select_add(PLATFORM))
    return app


@breaks(9)
def platform_queue_selected_once_the_worker_is_set_up() -> Celery:
    app = make_app()
    when(signals.celeryd_after_setup, app, lambda: app.amqp.queues.select_add(PLATFORM))
    return app


@breaks(9)
def platform_queue_selected_before() -> Celery:
    app = make_app()
    app.amqp.queues.select(['export', 'platform.fifo'])
    return app


@breaks(9)
def worker_that_does_not_start() -> Celery:
    def refuse() -> None:
        raise SystemExit('no')

    app = make_app()
    when(signals.celeryd_init, app, refuse)
    return app


@breaks(9)
def settings_of_a_config_and_no_setup() -> Celery:
    app = Celery('export', set_as_current=False)
    app.conf.update(Config(QUEUES=['export', 'msg']).to_dict())
    add(app, 'export.project')
    return app


# 10: delays, time limits and settings take effect


@breaks(10)
def retry_delay_that_sqs_does_not_bear() -> Celery:
    app = make_app()
    add(app, 'export.archive', default_retry_delay=43201)
    return app


@breaks(10)
def backoff_that_sqs_does_not_bear() -> Celery:
    app = make_app()
    add(app, 'export.archive', autoretry_for=(OSError,), retry_backoff=60, retry_backoff_max=86400, max_retries=None)
    return app


@breaks(10)
def countdown_of_retries_that_sqs_does_not_bear() -> Celery:
    app = make_app()
    add(app, 'export.archive', autoretry_for=(OSError,), retry_kwargs={'countdown': 43201})
    return app


@breaks(10)
def retry_delay_that_is_no_number() -> Celery:
    app = make_app(broker_url='redis://localhost:1/0')
    add(app, 'export.archive', default_retry_delay=timedelta(minutes=1))
    return app


@breaks(10)
def time_limits_that_are_no_numbers() -> Celery:
    app = make_app()
    add(app, 'export.archive', soft_time_limit=timedelta(minutes=1), time_limit=90)
    add(app, 'export.delete', soft_time_limit=30, time_limit='60')
    return app


@breaks(10)
def beat_entry_with_a_countdown_that_sqs_does_not_bear() -> Celery:
    nightly = {'task': 'export.project', 'schedule': 60, 'args': (1,), 'options': {'countdown': 50000}}
    return make_app(beat_schedule={'nightly': nightly})


@breaks(10)
def soft_time_limit_above_the_time_limit() -> Celery:
    app = make_app()
    add(app, 'export.archive', soft_time_limit=60, time_limit=30)
    return app


@breaks(10)
def soft_time_limit_above_the_time_limit_of_the_settings() -> Celery:
    app = make_app(task_time_limit=30)
    add(app, 'export.archive', soft_time_limit=60)
    return app


@breaks(10)
def soft_time_limit_of_the_settings_above_their_time_limit() -> Celery:
    return make_app(task_soft_time_limit=60, task_time_limit=30)


@breaks(10)
def beat_entry_with_a_time_limit_below_the_soft_one_of_its_task() -> Celery:
    nightly = {'task': 'export.archive', 'schedule': 60, 'args': (1,), 'options': {'time_limit': 30}}
    app = make_app(beat_schedule={'nightly': nightly})
    add(app, 'export.archive', soft_time_limit=60)
    return app
