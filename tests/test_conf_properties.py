"""Whatever is thrown at a Config, it is one that Celery accepts, or a documented error, and it keeps its secrets."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import re
import string
import warnings
from pprint import pformat
from typing import Any
from unittest import mock

from celery import Celery
from celery.app.defaults import NAMESPACES, flatten
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cadasta.workertoolbox.conf import Config

SECRET = 'Tr0ub4dor'
OPTIONS = dict(flatten(NAMESPACES))

DOCUMENTED = re.compile(
    '|'.join(
        [
            r'[A-Z_]+ is .*: it must be ',
            r'(broker_transport(_options)?|task_default_exchange(_type)?) is .*: it must be ',
            r'.* in the environment is not ',
            r'The name of queue .* is \d+ characters long',
            r'Queues .* both (serve the routing key|be called) ',
            r'Two queues have the name',
            r"Unable to render 'result_backend' value: ",
            r'.* is no setting: Celery spells it ',
            r'.* cannot be the name of a setting',
            r'QUEUE_PREFIX and QUEUE_NAME_PREFIX are one variable',
            r'\w+ has a password in its query',
            r'\w+ is .*: it cannot be read as a URL',
            r'task_queues holds ',
            r'broker_transport_options has predefined_queues, and ',
        ]
    ),
    re.DOTALL,
)

awkward = st.text(alphabet='@:/%?#&+ é{}[];,=\'"' + string.ascii_letters + string.digits, max_size=12)
passwords = st.builds('{}{}{}'.format, awkward, st.just(SECRET), awkward)
junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.lists(st.text(max_size=4), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers()),
)
names = st.text(alphabet=string.ascii_letters + string.digits + '-_', min_size=1, max_size=12)
queue_names = st.one_of(names, names.map('{}.fifo'.format), st.sampled_from(['celery', 'platform.fifo', 'export']))
broker_urls = st.one_of(
    st.sampled_from(['memory://', 'sqs://', 'amqp://', 'redis://localhost', 'filesystem://', None]),
    passwords.map('amqp://user:{}@localhost//'.format),
    passwords.map('sqs://key:{}@localhost:5000'.format),
)
templates = st.one_of(
    st.sampled_from(['{0.RESULT_DB_HOST}', 'db+postgresql://{0.RESULT_DB_USER}:{0.RESULT_DB_PASS}@db/x', '{0.nope}']),
    awkward,
    passwords.map('db+postgresql://user:{}@host/name'.format),
    passwords.map('db+mysql://host/name?password={}'.format),
)

KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    'QUEUES': st.one_of(st.lists(queue_names, max_size=5), junk),
    'PLATFORM_QUEUE_NAME': st.one_of(queue_names, junk),
    'QUEUE_NAME_PREFIX': st.one_of(names, junk),
    'QUEUE_PREFIX': names,
    'RESULT_DB_USER': awkward,
    'RESULT_DB_PASS': st.one_of(passwords, junk),
    'RESULT_DB_HOST': st.one_of(st.sampled_from(['localhost', '::1']), passwords.map('user:{}@host'.format), junk),
    'RESULT_DB_PORT': st.one_of(st.integers(), st.text(alphabet=string.digits, max_size=6), junk),
    'RESULT_DB_NAME': awkward,
    'CHORD_UNLOCK_MAX_RETRIES': st.one_of(st.integers(), junk),
    'broker_url': broker_urls,
    'broker_transport_options': st.one_of(
        st.fixed_dictionaries({'secret_access_key': passwords}),
        st.fixed_dictionaries(
            {
                'predefined_queues': st.dictionaries(
                    names,
                    st.fixed_dictionaries({'access_key_id': passwords, 'url': passwords.map('https://u:{}@h'.format)}),
                    max_size=2,
                )
            }
        ),
        st.dictionaries(names, st.integers(), max_size=2),
    ),
    'broker_password': passwords,
    'result_backend': templates,
    'task_create_missing_queues': st.booleans(),
    'task_time_limit': st.integers(),
    'redis_password': passwords,
    'DSN': passwords.map('postgresql://user:{}@host/name'.format),
    'DSNS': st.lists(passwords.map('postgresql://user:{}@host/name'.format), max_size=2),
    'my_setting': st.text(max_size=4),
    'task_time_limt': st.integers(),
    'BROKER_URL': st.just('memory://'),
    'CELERYD_CONCURRENCY': st.integers(),
    'get': st.integers(),
    '_private': st.integers(),
}
ENVIRONMENT: dict[str, st.SearchStrategy[str]] = {
    'QUEUE_PREFIX': names,
    'RESULT_DB_PASS': passwords.filter(lambda text: '\0' not in text),
    'RESULT_DB_PORT': st.one_of(st.just('5432'), names),
    'CELERY_QUEUES': st.one_of(st.lists(queue_names, max_size=3).map(json.dumps), names),
    'CELERY_TASK_TIME_LIMIT': st.one_of(st.just('60'), names),
    'CELERY_TASK_ACKS_LATE': st.one_of(st.just('true'), names),
    'CELERY_BROKER_URL': broker_urls.map(lambda url: url or ''),
    'CELERY_BROKER_TRANSPORT_OPTIONS': passwords.map('{{"secret_access_key": "{}"'.format),
    'CELERY_RESULT_BACKEND': passwords.map('db+postgresql://user:{}@host/name'.format),
    'CELERY_CHORD_UNLOCK_MAX_RETRIES': st.one_of(st.just('10'), names),
    'CELERY_LOG_LEVEL': names,
    'CELERY_NOT_A_SETTING': passwords,
}


def any_of(strategies: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sets(st.sampled_from(sorted(strategies)), max_size=5).flatmap(
        lambda chosen: st.fixed_dictionaries({name: strategies[name] for name in sorted(chosen)}),
    )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(keywords=any_of(KEYWORDS), attributes=any_of(KEYWORDS), environment=any_of(ENVIRONMENT))
@example(keywords={'broker_url': f'amqp://user:a/{SECRET}@host//'}, attributes={}, environment={})
@example(
    keywords={},
    attributes={'broker_url': f'amqp://user:{SECRET}[]@host//'},
    environment={'CELERY_BROKER_URL': 'memory://'},
)
@example(keywords={'RESULT_DB_PASS': f'a/@:{SECRET}'}, attributes={'QUEUES': ['a']}, environment={'QUEUE_PREFIX': 'b'})
def test_any_mixture_of_settings(
    keywords: dict[str, Any],
    attributes: dict[str, Any],
    environment: dict[str, str],
) -> None:
    service = type(
        'Service',
        (Config,),
        {name: value for name, value in attributes.items() if name != 'get' and not name.startswith('_')},
    )
    with mock.patch.dict(os.environ, environment), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            config = service(**keywords)
        except ValueError as error:
            message = str(error)
            assert DOCUMENTED.match(message), message
            assert SECRET not in message
            return
        finally:
            assert not [warning for warning in caught if SECRET in str(warning.message)]
        assert SECRET not in repr(config)
        assert SECRET not in repr(dict(config))
        assert_accepted(config)


def assert_accepted(config: Config) -> None:
    app = Celery('test', set_as_current=False)
    app.config_from_object(config)
    assert app.conf.PLATFORM_QUEUE_NAME in app.amqp.queues
    assert SECRET not in app.conf.humanize()
    for name in config.QUEUES:
        if name != config.PLATFORM_QUEUE_NAME:
            key = name.removesuffix('.fifo')
            route = app.amqp.router.route({}, f'{key}.task')
            assert (route['queue'].name, route['routing_key']) == (name, key)


harmless = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), names, st.binary(max_size=4))
with_credential = st.one_of(
    passwords.map('https://user:{}@host/path'.format),
    passwords.map('https://host/?token={}'.format),
    passwords.map('https://user:{}@host'.format).map(str.encode),
)
# Whatever is in a container of such a name is a credential.
hidden_names = st.builds(
    '{}{}{}'.format, names, st.sampled_from(['api_key', 'PASSWORD', 'rotate-token', 'Secret']), names
)
credentials = st.recursive(
    st.one_of(passwords, passwords.map(str.encode), st.none(), st.integers()),
    lambda children: st.one_of(st.lists(children, max_size=3), st.dictionaries(names, children, max_size=3)),
    max_leaves=4,
)
nested = st.recursive(
    st.one_of(harmless, with_credential),
    lambda children: st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.dictionaries(st.one_of(names, passwords.map('https://user:{}@host'.format)), children, max_size=3),
        st.dictionaries(hidden_names, credentials, max_size=2),
        st.sets(with_credential, max_size=2),
        st.frozensets(with_credential, max_size=2),
    ),
    max_leaves=12,
)
nested_settings = st.fixed_dictionaries(
    {},
    optional={
        'beat_schedule': st.dictionaries(hidden_names, credentials, max_size=2),
        'broker_transport_options': st.dictionaries(names, nested, max_size=3),
        'task_annotations': nested,
        'redis_password': credentials,
        'OF_MY_OWN': nested,
        'API_TOKENS': credentials,
    },
)


def written(value: Any) -> str:
    """The `repr` of nested containers. A copy of a set may have another order."""
    if isinstance(value, dict):
        return f'{{{", ".join(f"{written(key)}: {written(item)}" for key, item in value.items())}}}'
    if isinstance(value, (list, tuple)):
        return f'{type(value)}({", ".join(map(written, value))})'
    if isinstance(value, (set, frozenset)):
        return f'{type(value)}({", ".join(sorted(map(written, value)))})'
    return repr(value)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(keywords=nested_settings)
def test_nothing_that_is_iterated_is_lost_and_nothing_that_is_shown_is_a_credential(keywords: dict[str, Any]) -> None:
    before = copy.deepcopy(keywords)
    config = Config(['export'], broker_url=f'amqp://guest:{SECRET}@host//', **keywords)
    assert written(keywords) == written(before)
    for copied in (dict(config), {**config}, dict(copy.deepcopy(config)), dict(pickle.loads(pickle.dumps(config)))):
        for name, value in keywords.items():
            if name == 'broker_transport_options':
                assert {key: copied[name][key] for key in value} == value
            else:
                assert copied[name] == value
    app, other = Celery('test', set_as_current=False), Celery('test', set_as_current=False)
    app.config_from_object(config)
    other.conf.update(config)
    record = logging.LogRecord('test', logging.INFO, __file__, 1, '%r', (dict(config),), None)
    for shown in (
        repr(config),
        repr(dict(config)),
        pformat(dict(config)),
        repr(list(config.values())),
        record.getMessage(),
        app.conf.humanize(),
        repr(dict(other.conf.changes)),
    ):
        assert SECRET not in shown


URLS = ('broker_url', 'broker_read_url', 'broker_write_url')


@settings(max_examples=200, deadline=None)
@example(name='broker_url', text='')
@given(name=st.sampled_from(sorted(OPTIONS)), text=st.one_of(awkward, st.integers().map(str), junk.map(repr)))
def test_any_setting_from_the_environment(name: str, text: str) -> None:
    variable = f'CELERY_{name.upper()}'
    text = text.replace('\0', '')
    with mock.patch.dict(os.environ, {variable: text}), warnings.catch_warnings(action='ignore'):
        try:
            config = Config()
        except ValueError as error:
            message = str(error)
        else:
            # An empty URL is none.
            assert name in config or (name in URLS and not text)
            return
    assert DOCUMENTED.match(message)


@settings(max_examples=200, deadline=None)
@given(user=awkward.filter(bool), password=passwords, database=awkward.filter(bool))
def test_credentials_arrive_in_the_database_url_as_they_are(user: str, password: str, database: str) -> None:
    from sqlalchemy import __version__
    from sqlalchemy.engine import make_url

    if __version__ < '2.1':
        # Before 2.1, no URL can say that the name of a database holds one of these.
        database = database.translate({ord('?'): None, ord('@'): None}) or 'name'
    config = Config(RESULT_DB_USER=user, RESULT_DB_PASS=password, RESULT_DB_NAME=database)
    url = make_url(config.result_backend.removeprefix('db+'))
    assert (url.username, url.password, url.database) == (user, password, database)
    assert (url.host, url.port, url.get_driver_name()) == ('localhost', 5432, 'psycopg2')
