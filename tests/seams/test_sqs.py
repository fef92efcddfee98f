"""kombu gives queues in Amazon SQS names of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Queue
from kombu.exceptions import InconsistencyError

from cadasta.workertoolbox.seams import sqs
from rig.servers.sqs import REGION, SQS, SQSBroker

pytestmark = pytest.mark.parametrize('broker', ['sqs'], indirect=True)
NAMES = ['export', 'export.project', 'platform.fifo', 'export.project.fifo']


@pytest.fixture
def channel(broker: SQSBroker) -> Iterator[Any]:
    with broker.connect() as connection:
        yield connection.default_channel


@pytest.mark.parametrize('name', NAMES)
def test_a_queue_is_found_by_what_it_is_called(broker: SQSBroker, channel: Any, name: str) -> None:
    Queue(name)(channel).declare()
    (url,) = broker.queues().values()
    assert url.rpartition('/')[2] == sqs.name_of(channel, name)
    assert sqs.name_of(channel, name) == f'{broker.prefix}-{sqs.bare_name_of(channel, name)}'
    assert sqs.url_of(channel, name) == url


def test_looking_for_a_queue_makes_none(broker: SQSBroker, channel: Any) -> None:
    with pytest.raises(sqs.NoSuchQueue):
        sqs.url_of(channel, 'export')
    assert broker.queues() == {}


def test_the_client_is_the_one_that_is_configured(broker: SQSBroker, channel: Any) -> None:
    Queue('export')(channel).declare()
    client = sqs.client_of(channel, 'export')
    assert client.meta.region_name == REGION
    client.send_message(QueueUrl=sqs.url_of(channel, 'export'), MessageBody='hello')
    assert [message['Body'] for message in broker.receive('export')] == ['hello']


def test_an_answer_without_what_was_asked_for_is_an_error(broker: SQSBroker, sqs_server: SQS, channel: Any) -> None:
    Queue('export')(channel).declare()
    client, url = sqs.client_of(channel, 'export'), sqs.url_of(channel, 'export')
    name = 'ApproximateNumberOfMessages'
    assert sqs.number_of(client, url, name) == 0
    assert sqs.attributes_of(client, url, name, also=['All'])['VisibilityTimeout'] == '1800'
    for answer, said in {'nothing': f'without {name}', 'half': "'many' for"}.items():
        sqs_server.fail(answer=answer, action='GetQueueAttributes', prefix=broker.prefix)
        with pytest.raises(InconsistencyError, match=f'{said} .*-export'):
            sqs.number_of(client, url, name)
    sqs_server.fail()


def test_queues_that_are_predefined(broker: SQSBroker) -> None:
    with broker.connect() as connection:
        Queue('export')(connection.default_channel).declare()
    predefined = {f'{broker.prefix}-export': {'url': broker.queues()['export'], 'region': 'eu-central-1'}}
    options = {**broker.options, 'predefined_queues': predefined}
    with Connection(broker.url, transport_options=options) as connection:
        channel = connection.default_channel
        assert sqs.url_of(channel, 'export') == broker.queues()['export']
        assert sqs.client_of(channel, 'export').meta.region_name == 'eu-central-1'
        with pytest.raises(sqs.NotPredefined):
            sqs.url_of(channel, 'other')
        with pytest.raises(sqs.NotPredefined):
            sqs.client_of(channel, 'other')
