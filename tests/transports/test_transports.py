"""The transports of this package: who uses them, and what that for Amazon SQS says and how long it waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace

import kombu
import pytest
from celery import Celery
from kombu.transport import SQS, get_transport_cls
from kombu.utils.collections import eqhash

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.transports import amqp, redis
from cadasta.workertoolbox.transports.connection import Connection
from cadasta.workertoolbox.transports.sqs import LONGEST_PAUSE, Channel, Transport

URL = 'https://sqs.us-west-2.amazonaws.com/123456789012/dev-export'


class OfAnApp(SQS.Transport):
    """A transport that an app has of its own."""


@pytest.mark.parametrize(
    ('settings', 'transport'),
    [
        ({}, Transport),
        ({'broker_url': 'sqs://'}, Transport),
        ({'broker_transport': 'kombu.transport.SQS:Transport'}, Transport),
        ({'broker_transport': 'cadasta.workertoolbox.transports.sqs:Transport'}, Transport),
        ({'broker_transport': OfAnApp}, OfAnApp),
        ({'broker_url': 'memory://'}, get_transport_cls('memory')),
        ({'broker_url': 'redis://'}, redis.Transport),
        ({'broker_url': 'amqp://'}, amqp.Transport),
        ({'broker_url': 'amqps://'}, amqp.SSLTransport),
        ({'broker_transport': 'kombu.transport.pyamqp:Transport'}, amqp.Transport),
        ({'broker_url': 'rediss://'}, redis.Transport),
        ({'broker_url': 'sentinel://'}, redis.SentinelTransport),
    ],
)
def test_an_app_with_a_config_uses_it(settings: dict[str, object], transport: type) -> None:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(result_backend=None, **settings))
    for connection in (app.connection_for_read(), app.connection_for_write(), app.connection_for_read().clone()):
        assert connection.get_transport_cls() is transport
    assert app.conf.broker_transport == settings.get('broker_transport', None if settings else 'sqs')


def test_pools_have_connections_of_the_same_kind() -> None:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(result_backend=None))
    pool = Connection('sqs://').Pool(2)
    assert pool.new().get_transport_cls() is Transport
    assert app.pool.new().get_transport_cls() is Transport
    assert app.pool.limit == app.conf.broker_pool_limit


def test_another_app_keeps_its_own() -> None:
    plain = Celery('plain', set_as_current=False)
    plain.conf.broker_transport = 'sqs'
    assert plain.connection_for_write().get_transport_cls() is SQS.Transport
    assert eqhash(Connection('sqs://')) == eqhash(Connection('sqs://')) != eqhash(kombu.Connection('sqs://'))


@pytest.mark.parametrize(
    'options',
    [
        lambda value: {'global_keyprefix': value},
        lambda value: {'predefined_queues': {'export': {'url': URL, 'secret_access_key': value}}},
        lambda value: {'client-config': {'signature_version': value}},
    ],
)
def test_apps_whose_hidden_options_differ_share_no_connections(options: Callable[[str], dict[str, object]]) -> None:
    """Their options have the same `repr`, by which kombu tells its pools apart."""
    apps = [Celery('export', set_as_current=False) for _ in range(3)]
    for app, value in zip(apps, ('prod', 'test', 'prod'), strict=True):
        app.config_from_object(Config(result_backend=None, broker_transport_options=options(value)))
    prod, test, again = (app.pool for app in apps)
    assert prod is again
    assert prod is not test


@pytest.fixture
def channel() -> Channel:
    channel = object.__new__(Channel)
    channel._pauses = {}
    channel.connection = SimpleNamespace(polling_interval=None)
    return channel


def test_a_worker_waits_longer_each_time(channel: Channel, caplog: pytest.LogCaptureFixture) -> None:
    error = Exception('sqs://ada:hush@localhost refused')
    with caplog.at_level(logging.WARNING):
        pauses = [channel.refused(URL, error) for _ in range(7)]
    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]
    assert caplog.messages[1] == (
        f'Amazon SQS gave no messages of {URL}; next try in 2 s: sqs://********@localhost refused'
    )
    assert channel.refused(f'{URL}-other', error) == 1
    channel.answered(URL)
    assert channel.refused(URL, error) == 1


@pytest.mark.parametrize('code', ['com.amazonaws.sqs#QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue'])
def test_a_worker_connects_again_if_somebody_has_deleted_its_queue(channel: Channel, code: str) -> None:
    with pytest.raises(Transport.connection_errors, match=URL):
        channel.refused(URL, Exception(f'HTTP 400 {code}'))
