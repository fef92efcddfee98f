"""Predefined queues of SQS, which kombu asks for by the routing keys of their messages."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.settings.predefined import PredefinedQueues, aliases_of
from rig.servers.sqs import SQSBroker

EXCHANGE = Exchange('task_exchange', 'topic')


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
@pytest.mark.parametrize(
    'queues',
    [
        {'QUEUES': ['export.fifo', 'msg']},
        {'task_queues': [Queue('celery'), Queue('reports', routing_key='export'), Queue('msg')]},
    ],
)
def test_a_message_is_acknowledged_whatever_its_routing_key(broker: SQSBroker, queues: dict[str, Any]) -> None:
    def app_with(**options: Any) -> Celery:
        app = Celery('test', set_as_current=False, task_ignore_result=True)
        options = {**broker.options, **options}
        app.config_from_object(
            Config(**{**broker.settings, 'broker_transport_options': options, 'result_backend': None}, **queues)
        )
        return app

    plain = app_with()
    (name,) = (queue.name for queue in plain.conf.task_queues if queue.routing_key == 'export')
    plain.send_task('export.project')
    plain.send_task('msg.send')
    urls = {f'{broker.prefix}-{name}': {'url': url} for name, url in broker.queues().items()}
    app = app_with(predefined_queues=urls)
    assert app.conf.broker_transport_options['predefined_queues'] == urls
    with app.connection_for_read() as connection:
        for queue in (name, 'msg'):
            message = app.amqp.queues[queue](connection.default_channel).get()
            message.ack()
            assert broker.count(queue) == 0
        app.send_task('export.project', connection=connection)
    assert broker.count(name) == 1


def test_a_queue_is_found_by_both_names() -> None:
    queues = PredefinedQueues({'a.fifo': {'url': 'x'}}, {'a': 'a.fifo', 'b': 'b.fifo'})
    assert 'a' in queues
    assert 'a.fifo' in queues
    assert 'b' not in queues
    assert queues['a'] is queues['a.fifo']
    # kombu looks up the policies of a queue by the name without the prefix, and would not find its URL.
    assert queues.get('a') is None
    assert dict(queues.items()) == {'a.fifo': {'url': 'x'}}


@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, lambda queues: pickle.loads(pickle.dumps(queues))])
def test_a_copy_finds_the_same(copied: Callable[[Any], Any]) -> None:
    again = copied(PredefinedQueues({'a.fifo': {'url': 'x'}}, {'a': 'a.fifo'}))
    assert again == {'a.fifo': {'url': 'x'}}
    assert again['a'] == {'url': 'x'}


def test_credentials_of_predefined_queues_are_not_shown() -> None:
    queue = {'url': 'https://sqs/dev-export.fifo', 'access_key_id': 'key', 'secret_access_key': 'hush'}
    config = Config(['export.fifo'], broker_transport_options={'predefined_queues': {'dev-export.fifo': queue}})
    assert 'hush' not in repr(config)
    assert config.broker_transport_options['predefined_queues']['dev-export'] == queue


@pytest.mark.parametrize(
    ('queues', 'why'),
    [
        (
            [Queue('a.fifo', EXCHANGE, routing_key='a'), Queue('a', EXCHANGE, routing_key='b')],
            "'a.fifo' has the routing key 'a', which names queue 'a' instead",
        ),
        (
            [Queue('one', EXCHANGE, routing_key='a.b'), Queue('two', EXCHANGE, routing_key='a-b')],
            "'two' has the routing key 'a-b', which names queue 'one' instead",
        ),
        (
            [Queue('all', [EXCHANGE.binding('export.*')])],
            r"'all' has the routing key 'export\.\*', which names no queue",
        ),
    ],
)
def test_a_routing_key_that_leads_to_another_queue_is_refused(queues: list[Queue], why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        aliases_of(queues, 'dev-')
    assert 'each task would run again' in str(error.value)
    with pytest.raises(ValueError, match='has predefined_queues'):
        Config(task_queues=queues, broker_transport_options={'predefined_queues': {'dev-a': {}}})


def test_a_queue_with_bindings_is_found_by_all_of_their_keys() -> None:
    queue = Queue('all', [EXCHANGE.binding('one'), EXCHANGE.binding('two'), EXCHANGE.binding('all')])
    assert aliases_of([queue], 'dev-') == {'dev-one': 'dev-all', 'dev-two': 'dev-all', 'all': 'dev-all'}


def test_a_name_without_its_prefix_may_be_that_of_another_queue() -> None:
    queues = [Queue('dev-a', routing_key='dev-a'), Queue('a', routing_key='a')]
    assert aliases_of(queues, 'dev-') == {'a': 'dev-a'}


def test_a_queue_without_a_routing_key_cannot_be_found() -> None:
    with pytest.raises(ValueError, match="'all' has the routing key '', which names no queue"):
        aliases_of([Queue('all', Exchange('fan', 'fanout'))], 'dev-')


@pytest.mark.parametrize('queues', ['dev-export', ['dev-export'], {'dev-export': 'https://ada:hush@sqs/dev-export'}])
def test_predefined_queues_that_are_no_dict_of_dicts(queues: object) -> None:
    with pytest.raises(ValueError, match=r"must be a dict of names, .* such as \{'dev-export': \{'url':") as caught:
        Config(['export'], broker_transport_options={'predefined_queues': queues})
    assert 'hush' not in str(caught.value)
