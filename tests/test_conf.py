"""A Config holds each setting, from the place that comes first."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from typing import Any

import pytest
from celery import Celery
from celery.bin.beat import beat
from celery.contrib.testing.worker import start_worker
from kombu import Exchange, Queue

from cadasta.workertoolbox import DEFAULT_QUEUES
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import ChangeError, SettingError
from cadasta.workertoolbox.setup import setup_app

from .conftest import leaving_logging

EXCHANGE = Exchange('task_exchange', 'topic')
DEFAULT_BACKEND = 'db+postgresql+psycopg2://cadasta:cadasta@localhost:5432/cadasta'


def app_with(config: Any) -> Celery:
    app = Celery('test', set_as_current=False)
    app.config_from_object(config)
    return app


def queues(config: Config) -> set[str]:
    return {queue.name for queue in config.task_queues}


def test_default_settings() -> None:
    config = Config()
    settings = config.to_dict()
    assert settings.pop('task_routes') == config.topology.route
    assert settings == {
        'broker_transport': 'sqs',
        'broker_transport_options': {'region': 'us-west-2', 'queue_name_prefix': 'dev-', 'visibility_timeout': 300},
        'task_default_exchange': 'task_exchange',
        'task_default_exchange_type': 'topic',
        'task_queues': {
            Queue('celery', EXCHANGE, routing_key='celery'),
            Queue('msg', EXCHANGE, routing_key='msg'),
            Queue('export', EXCHANGE, routing_key='export'),
            Queue('platform.fifo', EXCHANGE, routing_key='#'),
        },
        'task_create_missing_queues': False,
        'task_track_started': True,
        'broker_channel_error_retry': True,
        'result_backend': DEFAULT_BACKEND,
        'result_expires': None,
        'database_create_tables_at_setup': False,
        'override_backends': dict.fromkeys(('db', 'database'), 'cadasta.workertoolbox.results.backend:Backend'),
        'database_engine_callback': 'cadasta.workertoolbox.results:refuse_clearly',
        'result_backend_always_retry': True,
        'result_backend_max_retries': float('inf'),
    }


def test_default_variables_are_reachable_from_the_app() -> None:
    conf = app_with(Config()).conf
    assert (conf.QUEUES, conf.PLATFORM_QUEUE_NAME, conf.QUEUE_NAME_PREFIX) == (DEFAULT_QUEUES, 'platform.fifo', 'dev')
    assert (conf.RESULT_DB_USER, conf.RESULT_DB_PASS) == ('cadasta', 'cadasta')
    assert (conf.RESULT_DB_HOST, conf.RESULT_DB_PORT, conf.RESULT_DB_NAME) == ('localhost', '5432', 'cadasta')
    assert (conf.CHORD_UNLOCK_MAX_RETRIES, conf.ENV_PREFIX) == (43200, 'CELERY_')


def test_a_setting_comes_from_the_first_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Service(Config):
        RESULT_DB_USER = 'subclass'
        task_time_limit = 2

    monkeypatch.setenv('RESULT_DB_USER', 'environment')
    monkeypatch.setenv('CELERY_TASK_TIME_LIMIT', '1')
    assert (Config().RESULT_DB_USER, Config().task_time_limit) == ('environment', 1)
    assert (Service().RESULT_DB_USER, Service().task_time_limit) == ('subclass', 2)
    keywords = Service(RESULT_DB_USER='keyword', task_time_limit=3)
    assert (keywords.RESULT_DB_USER, keywords.task_time_limit) == ('keyword', 3)


def test_the_environment_is_read_when_a_config_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('QUEUE_PREFIX', 'one')
    first = Config()
    monkeypatch.setenv('QUEUE_PREFIX', 'two')
    assert first.broker_transport_options['queue_name_prefix'] == 'one-'
    assert Config().broker_transport_options['queue_name_prefix'] == 'two-'


@pytest.mark.filterwarnings('ignore:celery beat itself')
@pytest.mark.parametrize(
    ('variable', 'text', 'name', 'value'),
    [
        ('CELERY_TASK_TIME_LIMIT', '60', 'task_time_limit', 60.0),
        ('CELERY_WORKER_PREFETCH_MULTIPLIER', '1', 'worker_prefetch_multiplier', 1),
        ('CELERY_BEAT_CRON_STARTING_DEADLINE', '5', 'beat_cron_starting_deadline', 5),
        ('CELERY_TASK_ACKS_LATE', 'true', 'task_acks_late', True),
        ('CELERY_TASK_TRACK_STARTED', '0', 'task_track_started', False),
        ('CELERY_TIMEZONE', 'Europe/Berlin', 'timezone', 'Europe/Berlin'),
        ('CELERY_RESULT_COMPRESSION', 'gzip', 'result_compression', 'gzip'),
        ('CELERY_SECURITY_KEY_PASSWORD', 'hush', 'security_key_password', b'hush'),
        ('CELERY_ACCEPT_CONTENT', '["json", "yaml"]', 'accept_content', ['json', 'yaml']),
        ('CELERY_IMPORTS', '["one", "two"]', 'imports', ('one', 'two')),
        (
            'CELERY_BEAT_SCHEDULE',
            '{"tick": {"task": "msg.tick", "schedule": 60}}',
            'beat_schedule',
            {'tick': {'task': 'msg.tick', 'schedule': 60}},
        ),
        ('CELERY_TASK_ANNOTATIONS', '{"*": {"rate_limit": "10/s"}}', 'task_annotations', {'*': {'rate_limit': '10/s'}}),
        ('CELERY_WORKER_CONCURRENCY', 'auto', 'worker_concurrency', 'auto'),
        ('CELERY_TASK_DEFAULT_EXCHANGE', 'other', 'task_default_exchange', 'other'),
        ('CELERY_CHORD_UNLOCK_MAX_RETRIES', '10', 'CHORD_UNLOCK_MAX_RETRIES', 10),
        ('CELERY_PLATFORM_QUEUE_NAME', 'all.fifo', 'PLATFORM_QUEUE_NAME', 'all.fifo'),
        ('CELERY_QUEUES', '["import"]', 'QUEUES', ['import']),
        ('QUEUE_PREFIX', 'prod', 'QUEUE_NAME_PREFIX', 'prod'),
        ('RESULT_DB_USER', 'user', 'RESULT_DB_USER', 'user'),
        ('RESULT_DB_PASS', 'hush', 'RESULT_DB_PASS', 'hush'),
        ('RESULT_DB_HOST', 'db.example.com', 'RESULT_DB_HOST', 'db.example.com'),
        ('RESULT_DB_PORT', '6432', 'RESULT_DB_PORT', '6432'),
        ('RESULT_DB_NAME', 'results', 'RESULT_DB_NAME', 'results'),
    ],
)
def test_environment(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: Any) -> None:
    monkeypatch.setenv(variable, text)
    found = Config()[name]
    assert found == value
    assert isinstance(found, type(value))
    assert getattr(app_with(Config()).conf, name) == value


def test_another_prefix_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('EXPORT_TASK_TIME_LIMIT', '60')
    monkeypatch.setenv('CELERY_TASK_TIME_LIMIT', '1')
    assert Config(ENV_PREFIX='EXPORT_').task_time_limit == 60


@pytest.mark.parametrize('variable', ['CELERY_LOG_LEVEL', 'CELERY_LOADER', 'CELERY_FOO', 'EXPORT_QUEUES'])
def test_other_names_in_the_environment_are_left_alone(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    before = Config()
    monkeypatch.setenv(variable, '20')
    assert list(Config()) == list(before)
    assert Config().ENV_PREFIX == 'CELERY_'


@pytest.mark.parametrize(
    ('variable', 'text', 'shown', 'allowed'),
    [
        ('CELERY_TASK_TIME_LIMIT', 'soon', 'soon', 'a number'),
        ('CELERY_WORKER_PREFETCH_MULTIPLIER', '1.5', '1.5', 'a whole number'),
        ('CELERY_TASK_ACKS_LATE', 'perhaps', 'perhaps', "one of 'true'"),
        ('CELERY_DATABASE_CREATE_TABLES_AT_SETUP', 'hush', '********', "one of 'true'"),
        ('CELERY_ACCEPT_CONTENT', 'json', '…', 'a JSON list'),
        ('CELERY_ACCEPT_CONTENT', '{"json": 1}', '…', 'a JSON list'),
        ('CELERY_IMPORTS', '"one"', '…', 'a JSON list'),
        ('CELERY_BEAT_SCHEDULE', '[' * 100_000, '…', 'a JSON object'),
        ('CELERY_TASK_ROUTES', '{"msg.*"', '…', 'text, or JSON'),
        ('CELERY_TASK_ROUTES', '["msg.*"', '…', 'text, or JSON'),
        ('CELERY_QUEUES', 'export', '…', 'a JSON list'),
    ],
)
def test_an_environment_value_that_does_not_parse(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
    shown: str,
    allowed: str,
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=f'^{variable}={re.escape(repr(shown))} in the environment is not {allowed}'):
        Config()


def test_a_broken_value_that_may_hold_credentials_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_BROKER_TRANSPORT_OPTIONS', '{"secret_access_key": "hush"')
    with pytest.raises(ValueError, match='CELERY_BROKER_TRANSPORT_OPTIONS') as error:
        Config()
    assert 'hush' not in str(error.value)


@pytest.mark.parametrize(
    'given',
    [
        {'broker_url': 'amqp://'},
        {'broker_read_url': 'amqp://'},
        {'broker_write_url': 'redis://'},
        {'broker_url': ['amqp://one', 'amqp://two']},
    ],
)
def test_a_given_broker_url_decides_the_transport(given: dict[str, Any]) -> None:
    assert 'broker_transport' not in Config(**given)


@pytest.mark.parametrize('variable', ['CELERY_BROKER_URL', 'CELERY_BROKER_READ_URL', 'CELERY_BROKER_WRITE_URL'])
@pytest.mark.parametrize('prefix', ['CELERY_', 'EXPORT_'])
def test_celerys_own_variables_count_as_a_given_broker_url(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    prefix: str,
) -> None:
    monkeypatch.setenv(variable, 'memory://')
    assert 'broker_transport' not in Config(ENV_PREFIX=prefix)


@pytest.mark.parametrize('name', ['broker_url', 'broker_read_url', 'broker_write_url'])
def test_celerys_own_variables_are_checked_like_a_given_broker_url(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f'CELERY_{name.upper()}', 'amqp://user:hu/sh@host//')
    with pytest.raises(ValueError, match=f'^{name} is .*: it cannot be read as a URL'):
        Config(ENV_PREFIX='EXPORT_')


def test_an_app_with_a_broker_url_connects_there() -> None:
    assert app_with(Config(broker_url='memory://')).connection_for_write().transport_cls == 'memory'
    assert app_with(Config()).connection_for_write().transport_cls == 'sqs'


def test_a_broker_that_is_given_elsewhere_needs_no_transport() -> None:
    constructed = Celery(broker='memory://', set_as_current=False)
    constructed.config_from_object(Config(broker_transport=None))
    later = app_with(Config(broker_transport=None))
    later.conf.broker_url = 'memory://'
    assert {app.connection_for_write().transport_cls for app in (constructed, later)} == {'memory'}


def test_an_empty_broker_url_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_BROKER_URL', '')
    assert Config().broker_transport == 'sqs'


def test_an_empty_result_backend_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_RESULT_BACKEND', '')
    assert Config().result_backend == 'db+postgresql+psycopg2://cadasta:cadasta@localhost:5432/cadasta'


def test_a_priority_in_the_environment_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_TASK_DEFAULT_PRIORITY', '5')
    assert Config().task_default_priority == 5


def test_given_transport_options_are_laid_over_the_defaults() -> None:
    options = Config(broker_transport_options={'region': 'eu-west-1', 'wait_time_seconds': 20}).broker_transport_options
    assert options == {
        'region': 'eu-west-1',
        'queue_name_prefix': 'dev-',
        'visibility_timeout': 300,
        'wait_time_seconds': 20,
    }


@pytest.mark.parametrize(
    ('url', 'confirms'),
    [
        ('amqp://', True),
        ('amqps://host', True),
        ('pyamqp://', True),
        (['amqp://one', 'amqp://two'], True),
        ('host', True),
        ('amqp://host/a://b', True),
        (['sqs://one', 'amqp://two'], False),
        ('sqs://', False),
        ('redis://', False),
        ([], False),
    ],
)
def test_messages_to_rabbitmq_are_confirmed(url: Any, confirms: bool) -> None:
    assert Config(broker_url=url).broker_transport_options.get('confirm_publish', False) is confirms


def test_producers_publish_to_the_broker_that_is_given_for_them() -> None:
    config = Config(broker_url='redis://', broker_read_url='sqs://', broker_write_url='amqp://')
    assert config.broker_transport_options['confirm_publish'] is True


@pytest.mark.parametrize(
    ('given', 'grouped'),
    [
        ({}, True),
        ({'broker_url': 'sqs://'}, True),
        ({'broker_transport': 'SQS'}, True),
        ({'broker_url': 'amqp://'}, False),
        ({'broker_transport': 'memory'}, False),
    ],
)
def test_messages_on_sqs_are_grouped(given: dict[str, Any], grouped: bool) -> None:
    assert Config(**given).topology.grouped is grouped


@pytest.mark.parametrize(
    'names',
    [
        ['export', 'msg'],
        ('export', 'msg'),
        ['export', 'export', 'msg'],
        ['celery', 'platform.fifo', 'msg', 'export'],
    ],
)
def test_names_that_are_there_already_are_harmless(names: Any) -> None:
    assert Config(QUEUES=names).task_queues == Config(QUEUES=['export', 'msg']).task_queues


def test_the_platform_queue_keeps_its_binding_when_named_in_queues() -> None:
    (platform,) = (queue for queue in Config(['platform.fifo']).task_queues if queue.name == 'platform.fifo')
    assert platform.routing_key == '#'


def test_a_fifo_work_queue_serves_the_key_without_its_suffix() -> None:
    assert Queue('export.fifo', EXCHANGE, routing_key='export') in Config(['export.fifo']).task_queues


def test_predefined_queues() -> None:
    predefined = {'dev-export': {'url': 'https://sqs/dev-export'}, 'dev-platform.fifo': {'url': 'https://sqs/x.fifo'}}
    assert Config(['export'], broker_transport_options={'predefined_queues': predefined}).topology.grouped


def test_queues_are_bound_to_the_given_exchange() -> None:
    config = Config(task_default_exchange='other', task_default_exchange_type='direct')
    assert {queue.exchange for queue in config.task_queues} == {Exchange('other', 'direct')}


def test_given_queues_are_completed() -> None:
    config = Config(task_queues=[Queue('celery'), Queue('export.fifo'), Queue('audit', EXCHANGE, routing_key='all')])
    assert {(queue.name, queue.exchange.name, queue.routing_key) for queue in config.task_queues} == {
        ('celery', 'task_exchange', 'celery'),
        ('export.fifo', 'task_exchange', 'export'),
        ('audit', 'task_exchange', 'all'),
        ('platform.fifo', 'task_exchange', '#'),
    }


def test_queues_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_TASK_QUEUES', '{"celery": {}, "export": {"routing_key": "out"}}')
    assert Queue('export', EXCHANGE, routing_key='out') in Config().task_queues


def test_a_queue_with_an_exchange_of_its_own_is_left_alone() -> None:
    direct = Queue('legacy', Exchange('legacy', 'direct'), routing_key='legacy')
    assert direct in Config(task_queues=[Queue('celery'), direct]).task_queues


@pytest.mark.parametrize(('given', 'arguments'), [('quorum', {'x-queue-type': 'quorum'}), ('classic', None)])
def test_the_type_of_the_default_queue(given: str, arguments: dict[str, str] | None) -> None:
    found = {queue.name: queue.queue_arguments for queue in Config(task_default_queue_type=given).task_queues}
    assert (found['celery'], found['export'], found['platform.fifo']) == (arguments, None, None)


def test_given_routes_are_completed_by_the_default() -> None:
    config = Config(task_routes={'old.*': {'queue': 'export'}})
    assert config.task_routes == config['task_routes'] == config.topology.route
    assert config.task_routes('old.project', (), {}, {})['routing_key'] == 'export'


def test_routes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_TASK_ROUTES', '{"old.*": "export", "*": {"routing_key": "celery"}}')
    route = Config().topology.route
    assert [route(name, (), {}, {})['routing_key'] for name in ('old.project', 'msg.send')] == ['export', 'celery']


@pytest.mark.parametrize('routes', [5, [5], [('old.*', 'export', 'msg')], [[5]], {5: 'export'}])
def test_what_is_no_route_is_refused(routes: Any) -> None:
    with pytest.raises(ValueError, match=r'task_routes is .*: it must be a map of names and patterns to queues, '):
        Config(task_routes=routes)


@pytest.mark.parametrize(
    'config',
    [
        lambda: Config('export'),
        lambda: Config(b'export'),
        lambda: Config({'export'}),
        lambda: Config([1]),
        lambda: Config(['a b']),
        lambda: Config(['export.fifo.fifo']),
        lambda: Config(['.fifo']),
        lambda: Config(['']),
        lambda: Config(['export\n']),
    ],
)
def test_bad_queues(config: Any) -> None:
    with pytest.raises(ValueError, match=r'^QUEUES is '):
        config()


@pytest.mark.parametrize('queue', ['q' * 77, 'q' * 72 + '.fifo'])
def test_a_queue_name_that_is_too_long_with_its_prefix(queue: str) -> None:
    assert f'{queue[1:]}' in queues(Config([queue[1:]]))
    with pytest.raises(ValueError, match=r'^The name of queue .* is 8\d characters long .*at most 80'):
        Config(['export', queue])
    with pytest.raises(ValueError, match='with its prefix'):
        Config([queue[1:]], QUEUE_PREFIX='production')


@pytest.mark.parametrize(
    'given',
    [
        {'QUEUES': ['export', 'export.fifo']},
        {'QUEUES': ['celery.fifo']},
        {'task_queues': [Queue('one', routing_key='key'), Queue('two', routing_key='key')]},
    ],
)
def test_two_queues_for_one_key(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Queues '.*' and '.*' both serve the routing key '.*': each of its tasks"):
        Config(**given)


def test_two_queues_of_one_name() -> None:
    with pytest.raises(ValueError, match="Two queues have the name 'one'"):
        Config(task_queues=[Queue('one', routing_key='a'), Queue('one', routing_key='b')])


def test_queues_in_a_mapping_have_the_names_that_they_say() -> None:
    one = Queue('one', EXCHANGE, routing_key='key')
    assert one in Config(task_queues={'one': one, 'celery': {}, 'two': None}).task_queues
    assert Config(task_queues={'all': Queue('platform.fifo'), 'celery': {}}).task_queues == Config([]).task_queues
    with pytest.raises(ValueError, match="Two queues have the name 'one'"):
        Config(task_queues={'one': one, 'two': Queue('one')})


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'PLATFORM_QUEUE_NAME': 'a.b'}, "PLATFORM_QUEUE_NAME is 'a.b': it must be a name of letters"),
        ({'QUEUE_NAME_PREFIX': 'a.b'}, "QUEUE_NAME_PREFIX is 'a.b': it must be letters"),
        ({'QUEUE_PREFIX': 1}, 'QUEUE_NAME_PREFIX is 1: it must be letters'),
        ({'QUEUE_PREFIX': 'a', 'QUEUE_NAME_PREFIX': 'b'}, '^QUEUE_PREFIX and QUEUE_NAME_PREFIX are one variable'),
        ({'RESULT_DB_PORT': 'abc'}, "RESULT_DB_PORT is 'abc': it must be a whole number from 1 to 65535"),
        ({'RESULT_DB_PORT': 0}, 'RESULT_DB_PORT is 0'),
        ({'RESULT_DB_PORT': 65536}, 'RESULT_DB_PORT is 65536'),
        ({'RESULT_DB_PORT': ''}, "RESULT_DB_PORT is ''"),
        ({'RESULT_DB_HOST': 'user:hush@host'}, r"RESULT_DB_HOST is '\*{8}@host': it must be a host name"),
        ({'RESULT_DB_HOST': 5432}, "RESULT_DB_HOST is '5432': it must be a host name"),
        ({'RESULT_DB_USER': None}, 'RESULT_DB_USER is None: it must be text'),
        ({'RESULT_DB_PASS': 12345}, r'RESULT_DB_PASS is .\*{8}.: it must be text'),
        ({'ENV_PREFIX': None}, 'ENV_PREFIX is None'),
        ({'CHORD_UNLOCK_MAX_RETRIES': 'many'}, "CHORD_UNLOCK_MAX_RETRIES is 'many': it must be a whole number"),
        ({'CHORD_UNLOCK_MAX_RETRIES': None}, 'CHORD_UNLOCK_MAX_RETRIES is None'),
        ({'CHORD_UNLOCK_MAX_RETRIES': -1}, 'CHORD_UNLOCK_MAX_RETRIES is -1'),
        ({'CHORD_UNLOCK_MAX_RETRIES': True}, 'CHORD_UNLOCK_MAX_RETRIES is True'),
        ({'CHORD_UNLOCK_MAX_RETRIES': 1.5}, 'CHORD_UNLOCK_MAX_RETRIES is 1.5'),
        ({'QUEUES': 'export'}, r"QUEUES is 'export': it must be a list of names, such as \['export', 'msg'\]"),
        ({'broker_transport_options': ['region']}, r"broker_transport_options is \['region'\]: it must be a dict"),
        ({'task_default_exchange': 1}, 'task_default_exchange is 1: it must be text'),
        ({'task_default_exchange_type': None}, 'task_default_exchange_type is None: it must be text'),
        ({'task_queues': 'export'}, "task_queues holds 'e': give kombu Queues"),
        ({'task_queues': 5}, '^task_queues is 5: give kombu Queues'),
        ({'_topology': 1}, "'_topology' cannot be the name of a setting"),
        ({'to_dict': 1}, "'to_dict' cannot be the name of a setting"),
        ({'BROKER_URL': 'amqp://'}, 'Celery spells it broker_url now'),
        ({'CELERYD_CONCURRENCY': 1}, 'Celery spells it worker_concurrency now'),
        ({'CELERY_TASK_TIME_LIMIT': 1}, 'Celery spells it task_time_limit now'),
        ({'CELERY_ROUTES': {}}, 'Celery spells it task_routes now'),
        ({'TASK_QUEUES': []}, 'Celery spells it task_queues now'),
        (
            {'broker_url': 'amqp://user:hu/sh@host//'},
            r'broker_url is .amqp://\*{8}@host//.: it cannot be read as a URL',
        ),
        ({'broker_url': 'amqp://user:1/hush@host//'}, 'it cannot be read as a URL'),
        ({'broker_url': 'amqp://user:1;hush@host//'}, 'it cannot be read as a URL'),
        ({'broker_url': 'amqp://user:1;hush@host:5672//'}, 'it cannot be read as a URL'),
        ({'broker_url': 'amqp://user:1;hu@sh:2@host//'}, 'it cannot be read as a URL'),
        ({'broker_url': 'amqp://user:a@/hush@host//'}, 'it cannot be read as a URL'),
        ({'broker_url': 'amqp://user/hush@user'}, 'it cannot be read as a URL'),
        ({'broker_url': 'amqp://host:port//'}, 'it cannot be read as a URL'),
        ({'broker_url': 'user:hush@host'}, r"broker_url is '\*{8}@host': it cannot be read as a URL"),
        ({'broker_url': 'amqp://user:p,w@host:port//'}, 'it cannot be read as a URL'),
        ({'broker_url': 'amqp://user:p@p,w@host:port//'}, 'it cannot be read as a URL'),
        ({'result_backend': 'db+postgresql://user:?hush@host/name'}, 'result_backend is .* it cannot be read'),
        ({'result_backend': 'db+postgresql://user:hu#sh@host/name'}, 'result_backend is .* it cannot be read'),
        ({'result_backend': 'db+postgresql://user:,hush:@host/name'}, 'result_backend is .* it cannot be read'),
        ({'result_backend': 'db+postgresql://user:hush;a:b@host/name'}, 'result_backend is .* it cannot be read'),
        ({'result_backend': 'db+postgresql://user:a@b;hush:@host/name'}, 'result_backend is .* it cannot be read'),
        ({'broker_url': 'amqp://user:hush,a:b@host//'}, 'broker_url is .* it cannot be read'),
        ({'result_backend': 'db+postgresql://host/name?password=hush'}, 'result_backend has a password in its query'),
        ({'result_backend': 'db+postgresql://host/name?password=1@hush{'}, "Unable to render 'result_backend' value: "),
        ({'result_backend': 'db+postgresql://host/name?password=@hush{'}, "Unable to render 'result_backend' value: "),
        ({'result_backend': 'db+postgresql://host/name?password={0.RESULT_DB_PASS}@hush{'}, 'Unable to render'),
    ],
)
def test_bad_input(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        Config(**given)
    for credential in ('hush', 'hu/sh', 'hu#sh', '12345'):
        assert credential not in str(error.value)


def test_bad_input_in_a_subclass() -> None:
    class Service(Config):
        BROKER_URL = 'amqp://'

    with pytest.raises(ValueError, match='Celery spells it broker_url now'):
        Service()


def test_a_property_is_no_setting() -> None:
    class Service(Config):
        @property
        def worker_concurrency(self) -> int:
            return 4

    with pytest.raises(ValueError, match=r'Service\.worker_concurrency is computed, .*: give it a value'):
        Service()


@pytest.mark.parametrize(
    'url',
    [
        'amqp://guest:guest@localhost:5672//',
        'amqp://u:p@one:5672;u:p@two:5672/v%40host',
        'amqp://[::1]:5672//',
        'amqp://one;two',
        'filesystem:///a@b',
        'filesystem://',
        'redis://:hush@localhost:6379/1',
        'sqs://key:secret@127.0.0.1:5000',
        'mongodb://user:p,w@one:1,two:2/name',
        '',
    ],
)
def test_good_broker_urls(url: str) -> None:
    assert Config(broker_url=url).broker_url == url


@pytest.mark.parametrize(
    'template',
    [
        '{0.nope}',
        '{1}',
        '{',
        '}',
        '{0.QUEUES[9]}',
        '{0.RESULT_DB_PORT:d}',
        '{nope}',
        '{0.QUEUES!x}',
        'db+postgresql://{0.nope}:{0.RESULT_DB_PASS}@localhost/results',
    ],
)
def test_a_result_backend_that_cannot_be_rendered(template: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the whole message is checked below
        Config(result_backend=template)
    assert str(error.value) == f"Unable to render 'result_backend' value: {template!r}"


def test_a_template_is_rendered_with_the_instance() -> None:
    with pytest.warns(UserWarning, match="no setting 'foo'"):
        config = Config(result_backend='{0.foo}:{0.BAR}', foo='abc', BAR='def')
    assert (config.result_backend, config.foo, config.BAR) == ('abc:def', 'abc', 'def')


@pytest.mark.parametrize(
    ('given', 'url'),
    [
        (
            {'RESULT_DB_USER': 'us/er', 'RESULT_DB_PASS': 'p@ss:w/rd%?#&+ é'},
            'db+postgresql+psycopg2://us%2Fer:p%40ss%3Aw%2Frd%25%3F%23%26%2B%20%C3%A9@localhost:5432/cadasta',
        ),
        (
            {'RESULT_DB_HOST': '::1', 'RESULT_DB_PORT': 6432},
            'db+postgresql+psycopg2://cadasta:cadasta@[::1]:6432/cadasta',
        ),
        ({'RESULT_DB_HOST': '[::1]'}, 'db+postgresql+psycopg2://cadasta:cadasta@[::1]:5432/cadasta'),
        ({'result_backend': 'db+postgresql://host/name'}, 'db+postgresql+psycopg2://host/name'),
        ({'result_backend': 'database+postgresql://host/name'}, 'database+postgresql+psycopg2://host/name'),
        ({'result_backend': 'postgresql://host/name'}, 'postgresql+psycopg2://host/name'),
        ({'result_backend': 'db+postgresql+psycopg://host/name'}, 'db+postgresql+psycopg://host/name'),
        ({'result_backend': 'db+mysql://{0.RESULT_DB_HOST}/x'}, 'db+mysql://localhost/x'),
        ({'result_backend': 'db+mysql://user:p;w@host/x', 'RESULT_DB_PORT': 1}, 'db+mysql://user:p;w@host/x'),
        ({'result_backend': 'sentinel://:a@one:1;sentinel://:a@two:2/0'}, 'sentinel://:a@one:1;sentinel://:a@two:2/0'),
        ({'result_backend': 'cache+memcached://u:p@one:1;u:p@two/'}, 'cache+memcached://u:p@one:1;u:p@two/'),
        ({'result_backend': None}, None),
    ],
)
def test_result_backend(given: dict[str, Any], url: str | None) -> None:
    assert Config(**given).result_backend == url


@pytest.mark.parametrize(('version', 'name'), [('2.0.9', 'ü b'), ('2.1.0b1', '%C3%BC%20b'), ('2.10.1', '%C3%BC%20b')])
def test_the_name_of_the_database_is_encoded_where_sqlalchemy_decodes_it(
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    name: str,
) -> None:
    monkeypatch.setattr('importlib.metadata.version', lambda distribution: version)
    assert Config(RESULT_DB_NAME='ü b').result_backend.endswith(f':5432/{name}')


def test_celery_takes_its_own_variable_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    url = 'db+postgresql+psycopg2://user:hush@host/name'
    monkeypatch.setenv('CELERY_RESULT_BACKEND', url)
    with warnings.catch_warnings(action='error'):
        assert app_with(Config()).conf.result_backend == Config().result_backend == url
    monkeypatch.setenv('CELERY_RESULT_BACKEND', 'db+postgresql://user:hush@host/name')
    with pytest.warns(UserWarning, match=r'Celery itself reads .*, .db.*//\*{8}@host/name.\. Unset it') as caught:
        Config()
    assert 'hush' not in str(caught[0].message)
    assert caught[0].filename == __file__
    monkeypatch.setenv('CELERY_RESULT_BACKEND', '')
    with warnings.catch_warnings(action='error'):
        assert app_with(Config(ENV_PREFIX='EXPORT_')).conf.result_backend == DEFAULT_BACKEND


def test_a_broken_variable_does_no_harm_where_something_comes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Service(Config):
        task_acks_late = True

    for variable in ('TASK_TIME_LIMIT', 'TASK_ACKS_LATE', 'QUEUES', 'CHORD_UNLOCK_MAX_RETRIES', 'BEAT_SCHEDULE'):
        monkeypatch.setenv(f'CELERY_{variable}', 'broken')
    monkeypatch.setenv('QUEUE_PREFIX', 'a b')
    monkeypatch.setenv('RESULT_DB_PORT', 'abc')
    given = {'task_time_limit': 60, 'CHORD_UNLOCK_MAX_RETRIES': 7, 'RESULT_DB_PORT': 1, 'beat_schedule': {}}
    with warnings.catch_warnings(action='error'):
        config = Service(['export'], QUEUE_PREFIX='prod', **given)
    assert {name: config[name] for name in given} == given
    assert (config.task_acks_late, config.QUEUE_NAME_PREFIX) == (True, 'prod')


@pytest.mark.parametrize(
    ('variable', 'text', 'message'),
    [
        ('RESULT_DB_PORT', 'abc', "RESULT_DB_PORT is 'abc' in the environment: it must be a whole number from 1 to"),
        (
            'EXPORT_RESULT_DB_PORT',
            'abc',
            "EXPORT_RESULT_DB_PORT is 'abc' in the environment: it must be a whole",
        ),
        ('QUEUE_PREFIX', 'a b', "QUEUE_PREFIX is 'a b' in the environment: it must be letters, digits"),
        ('EXPORT_RUN_ONCE', 'perhaps', "EXPORT_RUN_ONCE is 'perhaps' in the environment: it must be one of 'true'"),
        ('EXPORT_FAIR_QUEUES', '2', "EXPORT_FAIR_QUEUES is '2' in the environment: it must be one of 'true'"),
        ('EXPORT_CHORD_UNLOCK_MAX_RETRIES', 'x', "EXPORT_CHORD_UNLOCK_MAX_RETRIES is 'x' in the environment: it must"),
        ('EXPORT_QUEUES', '["a b"]', "EXPORT_QUEUES is 'a b' in the environment: it must be a name of letters"),
        ('EXPORT_QUEUES', "['a']", "EXPORT_QUEUES='…' in the environment is not a JSON list, such as"),
        ('EXPORT_PLATFORM_QUEUE_NAME', 'a.b', "EXPORT_PLATFORM_QUEUE_NAME is 'a.b' in the environment: it must be a"),
    ],
)
def test_an_error_has_the_name_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingError, match=f'^{re.escape(message)}'):
        Config(ENV_PREFIX='EXPORT_')


def test_names_of_releases_0_4_to_0_6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_ENV_PREFIX', 'EXPORT_')
    monkeypatch.setenv('EXPORT_TASK_TIME_LIMIT', '60')
    monkeypatch.setenv('EXPORT_QUEUE_PREFIX', 'prod')
    for name in ('USER', 'PASS', 'HOST', 'NAME'):
        monkeypatch.setenv(f'EXPORT_RESULT_DB_{name}', name.lower())
    monkeypatch.setenv('EXPORT_RESULT_DB_PORT', '6432')
    with warnings.catch_warnings(action='error'):
        config = Config()
    assert (config.ENV_PREFIX, config.task_time_limit) == ('EXPORT_', 60)
    assert config.broker_transport_options['queue_name_prefix'] == 'prod-'
    assert config.result_backend == 'db+postgresql+psycopg2://user:pass@host:6432/name'
    assert Config(ENV_PREFIX='CELERY_').QUEUE_NAME_PREFIX == 'dev'


def test_the_documented_name_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('QUEUE_PREFIX', 'new')
    monkeypatch.setenv('CELERY_QUEUE_PREFIX', 'new')
    with warnings.catch_warnings(action='error'):
        Config()
    monkeypatch.setenv('CELERY_QUEUE_PREFIX', 'old')
    with pytest.warns(UserWarning, match='^CELERY_QUEUE_PREFIX .* has no effect, because QUEUE_PREFIX comes before it'):
        assert Config().QUEUE_NAME_PREFIX == 'new'
    with warnings.catch_warnings(action='error'):
        Config(QUEUE_PREFIX='keyword')


def warned(**given: Any) -> list[str]:
    with warnings.catch_warnings(record=True, action='always') as caught:
        Config(**given)
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ('variable', 'meant'),
    [
        ('QUEUE_NAME_PREFIX', 'QUEUE_PREFIX'),
        ('CELERY_QUEUE_NAME_PREFIX', 'QUEUE_PREFIX'),
        ('RESULT_DB_PASSWORD', 'RESULT_DB_PASS'),
        ('CELERY_RESULT_DB_PASSWORD', 'RESULT_DB_PASS'),
        ('RESULT_DB_USERNAME', 'RESULT_DB_USER'),
        ('RESULT_DB_USR', 'RESULT_DB_USER'),
        ('RESULT_DB_HOSTNAME', 'RESULT_DB_HOST'),
        ('PLATFORM_QUEUE_NAME', 'CELERY_PLATFORM_QUEUE_NAME'),
        ('CELERY_PLATFORM_QUEUE', 'CELERY_PLATFORM_QUEUE_NAME'),
        ('CELERY_QUEUE', 'CELERY_QUEUES'),
        ('CELERY_TASK_TIMELIMIT', 'CELERY_TASK_TIME_LIMIT'),
        ('CELERY_ACKS_LATE', 'CELERY_TASK_ACKS_LATE'),
        ('CELERY_RESULT_DB_TABLENAMES', 'CELERY_DATABASE_TABLE_NAMES'),
    ],
)
def test_a_variable_that_has_no_effect_is_warned_of_by_the_right_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    monkeypatch.setenv(variable, 'hush')
    assert warned() == [f'{variable} in the environment has no effect. Did you mean {meant}?']


@pytest.mark.parametrize(
    'variable',
    [
        *('CELERY_LOG_LEVEL', 'CELERY_APP', 'CELERY_BROKER', 'CELERY_CUSTOM_WORKER_POOL', 'CELERY_WORKER_TIME_LIMIT'),
        *('CELERY_WORKER_AUTOSCALE', 'CELERY_BEAT_MAX_INTERVAL', 'CELERY_RDB_HOST', 'CELERY_NOT_A_SETTING'),
        *('RESULT_DB_URL', 'RESULT_DB_SCHEMA', 'QUEUES', 'RUN_ONCE', 'TASK_TIMELIMIT', 'EXPORT_QUEUE', 'PATHS'),
    ],
)
@pytest.mark.parametrize('prefix', ['CELERY_', ''])
def test_a_variable_that_somebody_else_may_read_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str, prefix: str
) -> None:
    monkeypatch.setenv(variable, '["a"]' if variable == 'QUEUES' else '1')
    assert warned(ENV_PREFIX=prefix) == []


def test_no_variable_is_warned_of_where_a_keyword_would_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('QUEUE_NAME_PREFIX', 'prod')
    monkeypatch.setenv('CELERY_TASK_TIMELIMIT', '60')
    assert warned(QUEUE_PREFIX='dev', task_time_limit=1) == []


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('QUEUE', 'QUEUES'),
        ('QUEUE_PREFX', 'QUEUE_PREFIX'),
        ('PLATFORM_QUEUE', 'PLATFORM_QUEUE_NAME'),
        ('RESULT_DB_PASSWORD', 'RESULT_DB_PASS'),
        ('ENV_PREFX', 'ENV_PREFIX'),
    ],
)
def test_a_keyword_that_has_no_effect_is_warned_of_by_the_right_name(name: str, meant: str) -> None:
    (warning,) = warned(**{name: ['export']})
    assert warning.startswith(f'Config does not know {name}. Did you mean {meant}?')


@pytest.mark.parametrize('name', ['DSN', 'FOO', 'RESULT_DB_URL', 'QUEUE_URL', 'QUEUE_OF_BILLING'])
def test_a_variable_of_ones_own_is_left_alone(name: str) -> None:
    assert warned(**{name: 'mine'}) == []


def test_queues_beside_queues_of_ones_own() -> None:
    assert warned(QUEUES=['export'], task_queues=[Queue('celery')]) == [
        'QUEUES has no effect where task_queues is given. Leave out one of them.'
    ]
    assert warned(QUEUES=['export'], task_queues=None) == []
    assert warned(task_queues=[Queue('celery')]) == []


def test_a_variable_that_the_template_uses_is_left_alone() -> None:
    assert warned(RESULT_DB_HOSTS='a', result_backend='db+postgresql://{0.RESULT_DB_HOSTS}/x') == []


def test_what_set_up_logging_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (warning,) = warned(SETUP_SENTRY_LOGGING=True)
    assert re.fullmatch(r'SETUP_SENTRY_LOGGING has had no effect since 1\.0: .* Call sentry_sdk\.init\(\) .*', warning)
    monkeypatch.setenv('CELERY_SETUP_FILE_LOGGING', 'True')
    (warning,) = warned()
    assert warning.startswith('CELERY_SETUP_FILE_LOGGING has had no effect since 1.0')


def test_beats_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    collision = 'celery beat itself takes CELERY_BEAT_SCHEDULE for its option --schedule, the name of the file'
    monkeypatch.setenv('CELERY_BEAT_SCHEDULE', '{"tick": {"task": "msg.tick", "schedule": 60}}')
    (warning,) = warned()
    assert warning.startswith(collision)
    assert warned(beat_schedule={}) == warned(ENV_PREFIX='EXPORT_') == []
    monkeypatch.setenv('CELERY_BEAT_SCHEDULE', '/var/lib/celery/schedule')
    with pytest.raises(SettingError, match=rf'is not a JSON object, .*\. {collision}'):
        Config()
    assert warned(ENV_PREFIX='EXPORT_') == []


def test_beat_takes_it_for_a_file() -> None:
    (option,) = (option for option in beat.params if option.name == 'schedule')
    assert (option.opts, option.envvar, option.allow_from_autoenv) == (['-s', '--schedule'], None, True)


@pytest.mark.parametrize(('name', 'closest'), [('foo', ''), ('zzz', ''), ('queues', " The closest is 'QUEUES'.")])
def test_a_setting_is_suggested_only_where_it_is_close(name: str, closest: str) -> None:
    assert warned(**{name: 1}) == [f'Celery has no setting {name!r}.{closest}']


def test_a_variable_in_small_and_large_letters_has_no_effect() -> None:
    assert warned(Queues=['report'], OurBucket='exports') == ['Config does not know Queues. Did you mean QUEUES?']


def test_an_unknown_setting_is_kept_with_a_warning_that_names_the_closest() -> None:
    with pytest.warns(UserWarning, match="no setting 'task_tim_limit'. The closest is 'task_time_limit'") as caught:
        config = Config(task_tim_limit=1)
    assert config.task_tim_limit == 1
    assert caught[0].filename == __file__


def test_known_settings_give_no_warning() -> None:
    with warnings.catch_warnings(action='error'):
        Config(task_time_limit=1, FOO=1)


def test_subclass_attributes() -> None:
    def route(name: str, *args: Any, **kwargs: Any) -> str:
        return 'celery'

    class Base(Config):
        QUEUES = ('base',)
        QUEUE_PREFIX = 'base'
        RESULT_DB_NAME = 'base'

        def helper(self) -> str:
            return 'not a setting'

    class Service(Base):
        QUEUES = ('service',)
        QUEUE_NAME_PREFIX = 'service'
        _private = 'not a setting'
        task_routes = staticmethod(route)

    assert queues(Base()) == {'celery', 'base', 'platform.fifo'}
    service = Service()
    assert queues(service) == {'celery', 'service', 'platform.fifo'}
    assert service.broker_transport_options['queue_name_prefix'] == 'service-'
    assert service.RESULT_DB_NAME == 'base'
    assert service.topology.chosen('service.task') == {'queue': 'celery'}
    assert not {'helper', '_private', 'QUEUE_PREFIX'} & set(service)
    assert service.helper() == 'not a setting'


@pytest.mark.parametrize('config', [Config, type('ExportConfig', (Config,), {'QUEUES': ['export']})])
def test_a_class_is_no_configuration(config: type[Config]) -> None:
    app = app_with(config)
    with pytest.raises(TypeError, match=rf'with an instance: app\.config_from_object\({config.__name__}\(\)\)'):
        app.send_task('export.project')
    assert not hasattr(config, 'anything')


def test_old_worker_code() -> None:
    assert queues(Config(['bar'])) == {'celery', 'bar', 'platform.fifo'}
    assert queues(Config(QUEUES=['foo'])) == {'celery', 'foo', 'platform.fifo'}
    assert Config(QUEUE_PREFIX='prod').broker_transport_options['queue_name_prefix'] == 'prod-'


def test_repr_shows_the_settings_in_order_without_credentials() -> None:
    text = repr(
        Config(
            broker_url='sqs://key:hush@host',
            RESULT_DB_PASS='hush',
            broker_transport_options={'secret_access_key': 'hush'},
        )
    )
    assert text.startswith("Config({'broker_channel_error_retry': True,")
    assert text.index("'broker_url': 'sqs://********@host'") < text.index("'result_backend'")
    assert 'hush' not in text
    assert 'QUEUES' not in text


@pytest.mark.process
def test_celery_report_shows_settings_and_variables_but_no_methods_and_no_credentials() -> None:
    report = app_with(
        Config(
            broker_url='amqp://guest:hush@localhost//',
            RESULT_DB_PASS='hush',
            DSN='postgresql://user:hush@host/name',
            broker_transport_options={'client-config': {'proxies': {'https': 'https://user:hush@proxy'}}},
            task_time_limit=60,
        )
    ).bugreport()
    assert 'hush' not in report
    for line in (
        'task_time_limit: 60',
        "'msg', 'export'",
        "RESULT_DB_PASS: '********'",
        "broker_url: 'amqp://guest:********@localhost:5672//'",
        "//cadasta:********@localhost:5432/cadasta'",
    ):
        assert line in report
    for name in ('to_dict', 'keys', 'topology:', '_grouped'):
        assert name not in report


@pytest.mark.process
def test_a_credential_of_a_variable_is_listed_and_not_shown() -> None:
    dsn = 'postgresql://user:hush@host/name'
    config = Config(DSN=dsn)
    assert dict(config)['DSN'] == config['DSN'] == config.DSN == app_with(config).conf.DSN == dsn
    assert "DSN: 'postgresql://********@host/name'" in app_with(config).bugreport()
    assert len(config) == len(list(config))


def test_private_names_are_not_settings() -> None:
    with pytest.raises(KeyError):
        Config()['_topology']


@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
def test_copies_route_alike(copied: Any) -> None:
    config = copied(Config(['export'], broker_url='memory://'))
    route = app_with(config).amqp.router.route({}, 'export.project')
    assert (route['queue'].name, route['routing_key']) == ('export', 'export')
    assert config.to_dict().keys() == Config(['export'], broker_url='memory://').to_dict().keys()


def test_a_config_of_a_class_that_a_function_made_can_be_pickled() -> None:
    class Ours(Config):
        QUEUES = ('export',)

    config = pickle.loads(pickle.dumps(Ours(task_time_limit=7)))
    assert type(config) is Config
    assert (config.QUEUES, config.task_time_limit) == (('export',), 7)
    assert type(copy.deepcopy(Ours())) is type(copy.copy(Ours())) is Ours


def test_a_class_that_has_a_name_is_kept_in_a_pickle() -> None:
    assert type(pickle.loads(pickle.dumps(Named()))) is Named


class Named(Config):
    """A configuration that a module has under its name."""


def test_a_setting_that_cannot_be_pickled_is_named() -> None:
    def route(*args: Any, **options: Any) -> str:
        return 'export'

    config = Config(task_routes=route)
    for copied in (copy.copy(config), copy.deepcopy(config)):
        assert copied.topology.chosen('legacy.project') == {'queue': 'export'}
    with pytest.raises(SettingError, match=r'^task_routes cannot be pickled .*spawn.* at the top of a module'):
        pickle.dumps(config)


def assign(config: Any) -> None:
    config.task_time_limit = 5


def assign_item(config: Any) -> None:
    config['task_time_limit'] = 5


def delete(config: Any) -> None:
    del config.task_time_limit


def delete_item(config: Any) -> None:
    del config['task_time_limit']


@pytest.mark.parametrize('change', [assign, assign_item, delete, delete_item])
def test_a_config_cannot_be_changed(change: Any) -> None:
    config = Config(task_time_limit=4)
    before = dict(config)
    instead = r'as a keyword, Config\(task_time_limit=…\), .*: app\.conf\.task_time_limit = …'
    with pytest.raises(ChangeError, match=f'^A Config cannot be changed .* {instead}$'):
        change(config)
    assert dict(config) == before


@pytest.mark.process
def test_celery_and_a_user_of_the_app_change_the_app_and_not_the_config() -> None:
    config = Config(broker_url='memory://', result_backend='cache+memory://', task_time_limit=4)
    before = dict(config)
    app = app_with(config)
    app.conf.task_time_limit = 5
    app.conf.update(task_soft_time_limit=3)
    app.add_defaults({'task_acks_late': True})
    app.add_periodic_task(60.0, app.signature('export.project'), name='tick')
    setup_app(app, throw=True)
    with leaving_logging(), start_worker(app, perform_ping_check=False, shutdown_timeout=60):
        app.control.inspect(timeout=0.1).conf()
    assert (app.conf.task_time_limit, app.conf.task_soft_time_limit, app.conf.task_acks_late) == (5, 3, True)
    assert dict(config) == before


@pytest.mark.process
@pytest.mark.parametrize(
    'name',
    ['QUEUES', 'PLATFORM_QUEUE_NAME', 'task_track_started', 'broker_transport_options', 'beat_schedule', 'DSN'],
)
@pytest.mark.parametrize(
    'configure',
    [
        lambda app, config: app.conf.update(config),
        lambda app, config: app.conf.update(**config),
        lambda app, config: app.config_from_object(dict(config)),
        lambda app, config: app.config_from_object({**config}),
        lambda app, config: app.config_from_object(config),
    ],
    ids=['update', 'keywords', 'dict', 'copy', 'itself'],
)
def test_who_iterates_over_a_config_loses_nothing(configure: Any, name: str) -> None:
    options = {'client-config': {'proxies': {'https': 'https://user:hush@proxy'}}, 'region': 'eu-west-1'}
    schedule = {'rotate-api-keys': {'task': 'jobs.rotate', 'schedule': 3600.0}}
    config = Config(
        ['jobs'], beat_schedule=schedule, broker_transport_options=options, DSN='postgresql://user:hush@host/name'
    )
    assert config.beat_schedule == schedule
    assert config.broker_transport_options == {'queue_name_prefix': 'dev-', 'visibility_timeout': 300, **options}
    app = Celery('test', set_as_current=False)
    configure(app, config)
    assert app.conf[name] == config[name]
    assert app.amqp.router.route({}, 'jobs.rotate')['queue'].name == 'jobs'
    assert 'hush' not in app.bugreport()


def test_backends_of_ones_own_reach_the_loader() -> None:
    backends = {'ours': 'celery.backends.cache:CacheBackend'}
    with warnings.catch_warnings(action='error'):
        config = Config(override_backends=backends)
    all_backends = {**Config()['override_backends'], **backends}
    assert config.override_backends == config['override_backends'] == all_backends
    app = app_with(config)
    assert app.conf.override_backends == all_backends
    assert app.loader.override_backends == all_backends


@pytest.mark.parametrize(('text', 'value'), [('false', False), ('1', True)])
def test_run_once_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    assert Config().RUN_ONCE is True
    monkeypatch.setenv('CELERY_RUN_ONCE', text)
    assert Config().RUN_ONCE is value
    assert Config(RUN_ONCE=False).RUN_ONCE is False


def test_run_once_must_be_a_flag() -> None:
    with pytest.raises(ValueError, match=r"^RUN_ONCE is 'perhaps': it must be one of 'true'"):
        Config(RUN_ONCE='perhaps')  # type: ignore[arg-type]  # a mistake


def test_the_backends_are_there_for_whoever_asks() -> None:
    """Celery's loader asks for them in this way. Somebody else may."""
    config = Config(QUEUES=['export'])
    assert config.get('override_backends')['db'] == 'cadasta.workertoolbox.results.backend:Backend'
    assert (config.get('QUEUES'), config.get('nothing')) == (['export'], None)
