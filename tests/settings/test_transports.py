"""The kind of a broker, however its transport is named."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.concurrency.thread import TaskPool as Threads
from kombu import Queue
from kombu.transport import SQS, TRANSPORT_ALIASES, memory

from cadasta.workertoolbox.check.broker import check_broker
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import SettingError
from cadasta.workertoolbox.leases.step import Renew
from cadasta.workertoolbox.settings.transports import kind_of
from cadasta.workertoolbox.setup import setup_app
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.environment import clean_environment
from rig.servers.sqs import SQSBroker


class OurSQS(SQS.Transport):
    """A transport of an app's own."""


OURS = f'{__name__}:OurSQS'
HTTPS = 'https://key:secret@sqs.example.org'


@pytest.mark.parametrize(
    'named',
    [
        {},
        {'broker_url': 'sqs://'},
        {'broker_url': 'SQS://key:secret@localhost'},
        {'broker_transport': 'sqs', 'broker_url': HTTPS},
        {'broker_transport': 'sqs', 'broker_url': 'amqp://localhost'},
        {'broker_transport': 'kombu.transport.SQS:Transport'},
        {'broker_transport': 'kombu.transport.SQS.Transport', 'broker_url': HTTPS},
        {'broker_transport': SQS.Transport},
        {'broker_transport': OurSQS},
        {'broker_transport': OURS},
        {'broker_transport': OURS, 'broker_url': HTTPS},
    ],
)
def test_sqs_is_known_by_all_of_its_names(named: dict[str, Any]) -> None:
    config = Config(['export.fifo'], **named)
    assert config.topology.grouped
    assert config.broker_transport_options['visibility_timeout'] == 300
    assert 'confirm_publish' not in config.broker_transport_options
    app = Celery('test', set_as_current=False)
    app.config_from_object(config)
    # kombu makes SQS of it as well.
    with app.connection_for_write() as connection:
        assert connection.get_transport_cls().driver_type == 'sqs'


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
@pytest.mark.parametrize('transport', ['sqs', 'kombu.transport.SQS:Transport', OURS, OurSQS])
def test_a_transport_with_another_name_is_used_as_sqs(broker: SQSBroker, transport: Any) -> None:
    app = Celery('test', set_as_current=False)
    app.config_from_object(
        Config(
            ['export.fifo', 'msg'],
            broker_url=broker.url.replace('sqs://', 'http://'),
            broker_transport=transport,
            broker_transport_options=broker.options,
            QUEUE_PREFIX=broker.prefix,
            result_backend=None,
            task_ignore_result=True,
        )
    )
    setup_app(app, throw=True)
    sent = {queue: app.send_task(f'{queue.partition(".")[0]}.project').id for queue in ('export.fifo', 'msg')}
    findings = {finding.check: finding for finding in check_broker(app, PLATFORM_QUEUE)}
    looked = findings['exchanges and queues are there, as they must be']
    assert (looked.state, looked.outcome.note) == ('passed', 'celery, export.fifo, msg, platform.fifo')
    groups = {
        queue: {message['Attributes'].get('MessageGroupId') for message in broker.receive(queue)}
        for queue in ('export.fifo', 'msg', PLATFORM_QUEUE)
    }
    assert groups == {'export.fifo': {sent['export.fifo']}, 'msg': {None}, PLATFORM_QUEUE: set(sent.values())}
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        tasks = SimpleNamespace(channel=channel, queues=[app.amqp.queues['msg']])
        consumer = SimpleNamespace(connection=connection, task_consumer=tasks, pool=Threads())
        step = Renew(consumer)
        step.start(consumer)
        assert step._renewal is not None
        step.shutdown(consumer)


@pytest.mark.parametrize(
    ('named', 'kind'),
    [
        ({'broker_url': 'redis+socket:///tmp/redis.sock'}, 'redis'),
        ({'broker_url': 'redis+socket:///tmp/redis.sock', 'broker_transport': 'sqs'}, 'redis'),
        ({'broker_transport': 'kombu.transport.redis:Transport'}, 'redis'),
        ({'broker_transport': 'kombu.transport.pyamqp:SSLTransport'}, 'amqp'),
        ({'broker_transport': None}, 'amqp'),
        ({'broker_transport': memory.Transport}, ''),
    ],
)
def test_other_brokers(named: dict[str, Any], kind: str) -> None:
    config = Config(**named)
    assert not config.topology.grouped
    assert ('visibility_timeout' in config.broker_transport_options) is (kind == 'redis')
    assert ('confirm_publish' in config.broker_transport_options) is (kind == 'amqp')


@pytest.mark.parametrize('name', sorted(TRANSPORT_ALIASES))
def test_a_path_and_a_name_of_kombu_are_of_one_kind(name: str) -> None:
    same = {alias.lower() for alias, path in TRANSPORT_ALIASES.items() if path == TRANSPORT_ALIASES[name]}
    assert kind_of(TRANSPORT_ALIASES[name]) in {kind_of(alias) for alias in same}


@pytest.mark.parametrize('path', ['no.such:Transport', f'{__name__}:Missing', ':', '..'])
def test_a_class_that_cannot_be_imported(path: str) -> None:
    with pytest.raises(SettingError, match=r'^broker_transport is .*: it must be the name of a transport, or a class'):
        Config(broker_transport=path)


def test_a_url_does_not_decide_what_is_imported() -> None:
    assert not Config(broker_url='no.such://localhost', broker_transport=None).topology.grouped


@pytest.mark.process
def test_a_transport_of_kombu_is_known_without_its_client_library() -> None:
    program = """
import sys
from cadasta.workertoolbox.conf import Config
for named in ('sqs', 'kombu.transport.SQS:Transport'):
    assert Config(broker_transport=named, result_backend=None).topology.grouped
assert 'boto3' not in sys.modules
"""
    subprocess.run([sys.executable, '-c', program], check=True, env=clean_environment())


@pytest.mark.parametrize(
    ('names', 'sqs_name'),
    [(['a.b', 'a-b'], 'dev-a-b'), (['a.b.fifo', 'a-b.fifo'], 'dev-a-b.fifo'), (['platform', 'platform.x'], None)],
)
def test_two_queues_that_would_be_one_on_sqs(names: list[str], sqs_name: str | None) -> None:
    assert Config(names, broker_url='amqp://').task_queues
    if sqs_name is None:
        assert Config(names).task_queues
        return
    with pytest.raises(ValueError, match=rf"^Queues '.*' and '.*' would both be called '{sqs_name}' on Amazon SQS"):
        Config(names)
    with pytest.raises(ValueError, match='would both be called'):
        Config(task_queues=[Queue(name, routing_key=str(number)) for number, name in enumerate(names)])


@pytest.mark.parametrize('url', ['amqp://', 'redis://localhost', 'sqs://', 'memory://'])
def test_a_queue_may_have_dots_in_its_name(url: str) -> None:
    app = Celery('test', set_as_current=False)
    app.config_from_object(Config(['export', 'export.high', 'msg.high.fifo'], broker_url=url))
    for options in ({'queue': 'export.high'}, {'routing_key': 'export.high'}):
        route = app.amqp.router.route(dict(options), 'export.project')
        assert (route['queue'].name, route['routing_key']) == ('export.high', 'export.high')
    assert app.amqp.router.route({'queue': 'msg.high.fifo'}, 'msg.send')['routing_key'] == 'msg.high'
    assert app.amqp.router.route({}, 'export.high.project')['queue'].name == 'export'


@pytest.mark.parametrize('name', ['a..b', '.a', 'a.', 'a.fifo.fifo', 'a b'])
def test_a_name_that_no_broker_accepts(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^QUEUES is .*: it must be a name of letters, .* and single dots, with '.fifo'"
    ):
        Config([name], broker_url='amqp://')


def test_the_filesystem_accepts_no_dots() -> None:
    with pytest.raises(ValueError, match=r"^QUEUES is 'a\.b': it must be a name without '\.' on this broker\. Amazon"):
        Config(['a.b'], broker_url='filesystem://')
    assert Config(['a.fifo'], broker_url='filesystem://').QUEUES == ['a.fifo']
