"""Credentials work like the text that they are, and are never shown."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from pprint import pformat
from typing import Any, NamedTuple

import boto3
import pytest
import redis
import sqlalchemy
from celery import Celery
from kombu import Connection
from kombu.utils import json as kombu_json

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.settings.credentials import hidden, masked
from cadasta.workertoolbox.settings.secret import SecretBytes, SecretNumber, SecretText
from rig.servers.environment import clean_environment

URL = 'amqp://guest:hush@localhost//'


class Server(NamedTuple):
    url: str
    port: int


@pytest.mark.parametrize(
    ('name', 'value', 'shown'),
    [
        ('RESULT_DB_PASS', 'hush', "'********'"),
        ('RESULT_DB_PASS', 'https://user:hush@host/hush', "'********'"),
        ('broker_url', URL, "'amqp://********@localhost//'"),
        ('URL', 'amqp://u:hush@host/x?token=hush', "'amqp://********@host/x?token=********'"),
        ('security_key_password', b'hush', "'********'"),
        ('CA', b'https://user:hush@host', "'********'"),
        ('redis_password', 54321, "'********'"),
        ('broker_url', [URL, 'amqp://'], "['amqp://********@localhost//', 'amqp://']"),
        ('SERVERS', (URL,), "('amqp://********@localhost//',)"),
        ('SERVERS', Server(URL, 1), "Server(url='amqp://********@localhost//', port=1)"),
        ('SERVERS', {URL}, "{'amqp://********@localhost//'}"),
        ('SERVERS', frozenset({URL}), "frozenset({'amqp://********@localhost//'})"),
        ('SERVERS', {URL: {'weight': 1}}, "{'amqp://********@localhost//': {'weight': 1}}"),
        ('OPTIONS', OrderedDict(token='hush', a=1), "{'token': '********', 'a': 1}"),
        ('OPTIONS', {'a': [{'secret_access_key': 'hush'}]}, "{'a': [{'secret_access_key': '********'}]}"),
        ('TOKENS', ['hush', {'b': (54321, 1.5, None, True)}], "['********', {'b': ('********', 1.5, None, True)}]"),
    ],
)
def test_a_credential_is_equal_to_itself_and_not_shown(name: str, value: Any, shown: str) -> None:
    before = copy.deepcopy(value)
    found = hidden(value, name)
    assert found == value == before
    assert repr(found) == shown
    assert 'hush' in repr(value) or '54321' in repr(value)
    assert hidden(found, name) == value
    for copied in (copy.copy(found), copy.deepcopy(found), *(pickle.loads(pickle.dumps(found, p)) for p in range(6))):
        assert copied == value
        assert repr(copied) == shown


@pytest.mark.parametrize('value', [{'region': 'us-west-2', 'a': [1, {2}]}, ['a', ('b',)], 'amqp://', b'x', 1, None])
def test_what_holds_no_credential_is_left_as_it_is(value: Any) -> None:
    assert hidden(value) is value


def test_what_is_masked_stays_masked() -> None:
    assert masked(hidden('hush', 'RESULT_DB_PASS')) == '********'
    assert masked([hidden(URL), hidden(b'hush', 'TOKEN'), hidden(1, 'TOKEN')]) == [
        'amqp://********@localhost//',
        '********',
        '********',
    ]


def test_text_of_a_credential_is_the_credential() -> None:
    secret = SecretText('hush')
    for text in (str(secret), f'{secret}', '%s' % secret, secret + '', ''.join([secret])):  # noqa: UP031  # as logs do it
        assert (text, type(text)) == ('hush', str)
    assert f'{secret!r}' == '%r' % secret == "'********'"  # noqa: UP031  # as logs do it
    assert f'{SecretNumber(7)} {SecretBytes(b"hush")}' == "7 '********'"
    assert (SecretNumber(7) + 1, bytes(SecretBytes(b'hush')), bytes.decode(SecretBytes(b'hush'))) == (
        8,
        b'hush',
        'hush',
    )


def test_credentials_in_json() -> None:
    value = {'password': 'hush', 'pin_of_token': 54321, 'url': URL}
    for dumps in (json.dumps, kombu_json.dumps):
        assert json.loads(dumps(hidden(value))) == value


def test_libraries_take_a_credential_for_the_text_that_it_is() -> None:
    connection = Connection(hidden('amqp://user:hush@host:1//'))
    assert (connection.userid, connection.password, connection.hostname) == ('user', 'hush', 'host')
    engine = sqlalchemy.create_engine(hidden('postgresql+psycopg2://user:hush@host/name'))
    assert (engine.url.username, engine.url.password) == ('user', 'hush')
    with sqlalchemy.create_engine('sqlite://').connect() as sqlite:
        assert sqlite.scalar(sqlalchemy.text('SELECT :a'), {'a': SecretText('hush')}) == 'hush'
    client = redis.Redis.from_url(hidden('redis://user:hush@localhost:1/0'))
    assert client.connection_pool.connection_kwargs['password'] == 'hush'
    assert (
        redis.Connection(password=SecretText('hush'))
        .pack_command('AUTH', SecretText('hush'))[0]
        .endswith(b'$4\r\nhush\r\n')
    )
    keys: Any = hidden({'aws_access_key_id': 'key', 'aws_secret_access_key': 'hush'})
    plain = {name: str(value) for name, value in keys.items()}

    def signed(keys: dict[str, str]) -> str:
        s3 = boto3.client('s3', region_name='eu-west-1', **keys)
        return s3.generate_presigned_post('bucket', 'name', Conditions=[], ExpiresIn=10**9)['fields']['AWSAccessKeyId']

    assert signed(keys) == signed(plain) == 'key'


SETTINGS: dict[str, Any] = {
    'QUEUES': ['jobs'],
    'broker_url': 'amqp://guest:hush@localhost//',
    'RESULT_DB_PASS': 'hush',
    'DSN': 'postgresql://user:hush@host/name',
    'beat_schedule': {'rotate-api-keys': {'task': 'jobs.rotate', 'schedule': 3600.0, 'args': ('hush',)}},
    'broker_transport_options': {
        'client-config': {'proxies': {'https': 'https://user:hush@proxy'}},
        'predefined_queues': {'dev-jobs': {'secret_access_key': 'hush'}},
        'sentinels': [('host', {'password': 'hush'})],
    },
    'security_key_password': b'hush',
    'redis_password': 54321,
}


@pytest.mark.process
def test_a_config_shows_no_credential_wherever_it_is_printed(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(**SETTINGS)
    with caplog.at_level(logging.INFO):
        logging.getLogger('test').info('%r %s', dict(config), config)
    app = Celery('test', set_as_current=False)
    app.config_from_object(config)
    copied = Celery('test', set_as_current=False)
    copied.config_from_object(dict(config))
    shown = [repr(config), repr(dict(config)), pformat(dict(config)), repr(list(config.items())), caplog.text]
    shown += [app.bugreport(), copied.bugreport(), repr(app.conf.table(censored=False)), repr(config.to_dict())]
    for text in shown:
        assert 'jobs' in text
        assert 'hush' not in text
        assert '54321' not in text
    assert "'rotate-api-keys'" in repr(config)
    for name, value in SETTINGS.items():
        if name != 'broker_transport_options':
            assert config[name] == value


@pytest.mark.process
def test_report_of_a_process_shows_no_credential(tmp_path: Path) -> None:
    (tmp_path / 'jobs.py').write_text(
        'from celery import Celery\n'
        'from cadasta.workertoolbox import Config\n'
        "app = Celery('jobs')\n"
        f'app.config_from_object(Config(**{SETTINGS!r}))\n'
    )
    report = subprocess.run(
        [sys.executable, '-m', 'celery', '-A', 'jobs', 'report'],
        cwd=tmp_path,
        env=clean_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    shown = report.stdout + report.stderr
    assert "'rotate-api-keys'" in shown
    assert 'https://********@proxy' in shown
    assert 'hush' not in shown
    assert '54321' not in shown
