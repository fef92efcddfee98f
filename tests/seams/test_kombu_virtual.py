"""Transports that keep a table of bindings themselves."""

from __future__ import annotations

import pytest
from kombu import Connection, Exchange, Queue
from kombu.exceptions import ChannelError

from cadasta.workertoolbox.seams import kombu_virtual
from rig.servers.broker import Broker, decoded
from rig.servers.process import wait_until
from rig.servers.sqs import SQSBroker

EXCHANGE = Exchange('seams', 'topic')
QUEUES = [
    Queue('all', EXCHANGE, routing_key='#'),
    Queue('one', EXCHANGE, routing_key='one'),
    Queue('under', EXCHANGE, routing_key='one.*'),
]
VIRTUAL = ('memory', 'filesystem', 'redis', 'sqs')


def declare(connection: Connection) -> None:
    for queue in QUEUES:
        queue(connection.default_channel).declare()


def test_the_bindings_are_shared_where_another_connection_knows_them(broker: Broker) -> None:
    with broker.connect() as declaring, broker.connect() as other:
        declare(declaring)
        state = getattr(other.default_channel, 'state', None)
        is_known = state is not None and state.has_binding('one', 'seams', 'one')
        assert kombu_virtual.shares_bindings(other.default_channel) == is_known
        assert is_known == (broker.name in ('memory', 'filesystem'))


@pytest.mark.parametrize('broker', VIRTUAL, indirect=True)
def test_bindings_are_told_by_key_and_queue(broker: Broker) -> None:
    with broker.connect() as connection:
        declare(connection)
        bindings = kombu_virtual.bindings_to(connection.default_channel, 'seams')
    assert bindings == {('#', 'all'), ('one', 'one'), ('one.*', 'under')}


@pytest.mark.parametrize('broker', ['redis', 'filesystem'], indirect=True)
def test_an_exchange_that_nobody_has_declared_has_no_bindings(broker: Broker) -> None:
    with broker.connect() as connection:
        assert kombu_virtual.bindings_to(connection.default_channel, 'seams') == set()


@pytest.mark.parametrize('broker', VIRTUAL, indirect=True)
@pytest.mark.parametrize('key', ['one', 'one.two', 'one.two.three'])
def test_the_queues_that_are_reached_are_those_that_get_a_message(broker: Broker, key: str) -> None:
    with broker.connect() as connection, connection.Producer() as producer:
        declare(connection)
        reached = kombu_virtual.queues_reached(connection.default_channel, 'seams', key)
        assert all(broker.count(queue.name) == 0 for queue in QUEUES)
        producer.publish({}, exchange='seams', routing_key=key)
    assert reached == {queue.name for queue in QUEUES if broker.count(queue.name) == 1}


def test_the_default_exchange_reaches_the_queue_of_the_name() -> None:
    with Connection('memory://') as connection:
        assert kombu_virtual.queues_reached(connection.default_channel, '', 'one') == {'one'}
        assert kombu_virtual.queues_reached(connection.default_channel, '', '') == frozenset()


@pytest.mark.parametrize('broker', VIRTUAL, indirect=True)
def test_messages_that_wait_are_counted(broker: Broker) -> None:
    with broker.connect() as connection, connection.Producer() as producer:
        declare(connection)
        assert kombu_virtual.waiting(connection.default_channel, 'one') == 0
        for _ in range(2):
            producer.publish({}, exchange='seams', routing_key='one')
        wait_until(lambda: kombu_virtual.waiting(connection.default_channel, 'one') == 2, 'two messages')


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_messages_are_counted_where_a_passive_declaration_finds_no_queue(broker: Broker) -> None:
    options = {**broker.options, 'global_keyprefix': 'ours:'}
    with Connection(broker.url, transport_options=options) as connection, connection.Producer() as producer:
        producer.publish({}, routing_key='one', declare=[Queue('one')])
        assert kombu_virtual.waiting(connection.default_channel, 'one') == 1
        with pytest.raises(ChannelError):
            connection.default_channel.queue_declare('one', passive=True)


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_only_fifo_queues_get_a_group_of_theirs(broker: SQSBroker) -> None:
    queues = [Queue('one', EXCHANGE, routing_key='#'), Queue('two.fifo', EXCHANGE, routing_key='#')]
    with broker.connect() as connection, connection.Producer() as producer:
        for _ in range(2):
            kombu_virtual.group_in_fifo_queues_only(producer.channel)
        for group in (kombu_virtual.FIFOGroup('ours'), 'theirs'):
            producer.publish({}, exchange='seams', routing_key='one', MessageGroupId=group, declare=queues)
        producer.publish({}, routing_key='one')
    for queue, expected in {'one': {None, 'theirs'}, 'two.fifo': {'ours', 'theirs'}}.items():
        messages = broker.receive(queue)
        assert {message['Attributes'].get('MessageGroupId') for message in messages} == expected
        assert {decoded(message['Body']).properties.get('MessageGroupId') for message in messages} == expected
