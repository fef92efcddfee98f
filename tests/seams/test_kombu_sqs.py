"""kombu reads the answers of Amazon SQS, and a channel hears of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from kombu import Connection, Queue
from kombu.asynchronous import Hub, set_event_loop
from kombu.exceptions import InconsistencyError

from cadasta.workertoolbox.seams import kombu_sqs
from rig.servers.broker import Broker
from rig.servers.moto_server import ANSWERS, BEHEADED, CUT, FAULTS, HANG_UP
from rig.servers.sqs import SQS, SQSBroker

pytestmark = pytest.mark.parametrize('broker', ['sqs'], indirect=True)


class Channel(kombu_sqs.AnsweringChannel):
    timeouts = {'connect_timeout': 3, 'read_timeout': 4}  # noqa: RUF012  # as kombu has it
    heard: list[str]

    def answered(self, url: str) -> None:
        self.heard.append('')

    def refused(self, url: str, error: Exception) -> float:
        self.heard.append(str(error))
        return 0.01


class Transport(kombu_sqs.Transport):
    Channel = Channel


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    set_event_loop(hub)
    yield hub
    hub.close()
    set_event_loop(None)


@pytest.fixture
def connection(broker: SQSBroker, sqs_server: SQS) -> Iterator[Connection]:
    options = {**broker.options, 'client-config': {'retries': {'total_max_attempts': 1}, 'read_timeout': 5}}
    with Connection(broker.url, transport=Transport, transport_options=options) as connection:
        yield connection
        sqs_server.fail()


def consume(connection: Connection, bodies: list[Any]) -> Any:
    channel = connection.default_channel
    channel.heard = []
    consumer = connection.Consumer(Queue('export'), channel=channel, no_ack=True)
    consumer.register_callback(lambda body, message: bodies.append(body))
    consumer.consume()
    return channel


def test_a_channel_hears_of_each_answer(broker: SQSBroker, sqs_server: SQS, hub: Hub, connection: Connection) -> None:
    bodies: list[Any] = []
    channel = consume(connection, bodies)
    loop = hub.create_loop()

    def hear(count: int) -> list[str]:
        del channel.heard[:]
        while len(channel.heard) < count:
            next(loop)
        return channel.heard

    for answer in FAULTS:
        sqs_server.fail(answer=answer, action='ReceiveMessage', prefix=broker.prefix)
        # The first may be the answer to a call that was under way.
        heard = hear(2)[-1]
        expected = {
            'html': '',
            'empty': '',
            'nothing': '',
            'half': '',
            'odd': '',
            'list': 'its answer cannot be read',
            'wrong': 'its answer cannot be read',
            **dict.fromkeys(('unavailable', 'internal', HANG_UP, CUT, BEHEADED), 'it is out of reach'),
        }.get(answer, f'HTTP {ANSWERS.get(answer, [0])[0]}')
        assert expected in heard, answer
        assert bool(expected) is bool(heard), answer
    sqs_server.fail()
    with connection.Producer() as producer:
        producer.publish('hello', routing_key='export')
    while not bodies:
        next(loop)
    assert bodies == ['hello']


@pytest.mark.parametrize('action', ['CreateQueue', 'GetQueueAttributes', 'SendMessage'])
def test_each_answer_to_boto3_is_an_error_of_the_transport(
    broker: SQSBroker, sqs_server: SQS, connection: Connection, action: str
) -> None:
    channel = connection.default_channel
    queue = Queue('export')(channel)
    if action != 'CreateQueue':
        queue.declare()
    for answer in FAULTS:
        sqs_server.fail(answer=answer, action=action, prefix=broker.prefix)
        with pytest.raises((*Transport.connection_errors, *kombu_sqs.ERRORS)):
            # kombu asks for the number of messages in a queue that is there.
            connection.Producer(channel).publish('hello', routing_key='export', declare=[queue])


def test_a_list_of_queues_that_has_another_form(broker: SQSBroker, sqs_server: SQS, connection: Connection) -> None:
    channel = connection.default_channel
    for answer in ('wrong', 'list', CUT, BEHEADED):
        sqs_server.fail(answer=answer, action='ListQueues', prefix=broker.prefix)
        # Older versions of boto3 look at the length of an answer themselves.
        with pytest.raises((InconsistencyError, *Transport.connection_errors)):
            channel.queue_declare('export')


def test_kombu_knows_less(broker: Broker, sqs_server: SQS) -> None:
    """This seam may go once kombu takes these for errors of a connection."""
    sqs_server.fail(answer='forbidden', prefix=broker.prefix)
    with broker.connect() as connection:
        assert not issubclass(ClientError, connection.connection_errors)
        with pytest.raises(ClientError):
            connection.connect()
    sqs_server.fail(answer='list', prefix=broker.prefix)
    with broker.connect() as connection, pytest.raises(AttributeError):
        connection.connect()
    sqs_server.fail(answer='nothing', action='GetQueueAttributes', prefix=broker.prefix)
    with broker.connect() as connection, pytest.raises(KeyError):
        connection.default_channel.queue_declare('export')
    sqs_server.fail(answer='nothing', action='SendMessage', prefix=broker.prefix)
    with broker.connect() as connection:
        connection.Producer().publish('lost', routing_key='export')
    sqs_server.fail()


def test_time_limits_are_those_of_the_channel_unless_an_app_has_its_own(connection: Connection) -> None:
    config = connection.default_channel.sqs().meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 5)
    released = connection.default_channel._new_release_client(connection.default_channel.sqs()).meta.config
    assert (released.connect_timeout, released.read_timeout) == (5, 5)


def test_a_message_is_recorded_and_not_sent(broker: SQSBroker, connection: Connection) -> None:
    channel = connection.default_channel
    queue = Queue('export.fifo')(channel)
    queue.declare()
    message = channel.prepare_message('body', properties={'delivery_info': {}, 'MessageGroupId': 'root'})
    recorded: list[Any] = []
    channel.basic_publish(
        message, exchange='', routing_key='export.fifo', recorder=lambda *arguments: recorded.append(arguments)
    )
    ((client, arguments),) = recorded
    assert arguments['MessageGroupId'] == 'root'
    assert broker.count('export.fifo') == 0
    client.send_message(**arguments)
    assert broker.count('export.fifo') == 1
    channel.basic_publish(message, exchange='', routing_key='export.fifo')
    assert broker.count('export.fifo') == 2


def test_the_url_of_a_queue_is_looked_up_for_a_recording(broker: SQSBroker, connection: Connection) -> None:
    recorded: list[Any] = []
    with connection.clone() as other:
        # It lists the queues that there are at its beginning.
        channel = other.default_channel
        Queue('export')(connection.default_channel).declare()
        message = channel.prepare_message('body', properties={'delivery_info': {}})
        channel.basic_publish(
            message, exchange='', routing_key='export', recorder=lambda *arguments: recorded.append(arguments)
        )
    assert recorded[0][1]['QueueUrl'] == broker.queues()['export']
