"""py-amqp delivers a message that it cannot read."""

from __future__ import annotations

import struct
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from amqp import spec
from amqp.exceptions import UnexpectedFrame
from kombu import Connection, Queue

from cadasta.workertoolbox.seams.amqp_frames import (
    BODY_SIZE,
    HEADER_SIZE,
    REASON,
    UNREAD,
    tolerant_frame_handler,
)
from rig.servers.broker import Broker
from rig.servers.process import PATIENCE
from rig.servers.raw_message import Raw, nested, table

# Each with the flag of its property.
UNREADABLE = {
    'UnicodeDecodeError': b'\x04\x00' + b'\x02\xff\xfe',
    'OverflowError': b'\x20\x00' + table(b'\x01aT' + struct.pack('>Q', 2**64 - 1)),
    'RecursionError': b'\x20\x00' + nested(1500),
}
LONGEST, KEPT = 400_000, 150_000
tolerant = partial(tolerant_frame_handler, longest=LONGEST, kept=KEPT)


def receive(broker: Broker, count: int) -> list[Any]:
    """The next messages of the queue, as py-amqp delivers them to whoever tolerates them."""
    messages: list[Any] = []
    options = {**broker.options, 'frame_handler': tolerant}
    with Connection(broker.url, transport_options=options) as connection:
        channel = connection.default_channel
        channel.auto_decode = False
        channel.basic_consume('seams', callback=messages.append, no_ack=True)
        while len(messages) < count:
            connection.drain_events(timeout=PATIENCE)
    return messages


def publish(broker: Broker, *messages: Raw, key: Any = 'seams') -> None:
    with broker.connect() as connection:
        channel = connection.default_channel
        Queue('seams')(channel).declare()
        channel.exchange_declare('any_key', 'fanout', auto_delete=False)
        channel.queue_bind('seams', 'any_key')
        for message in messages:
            channel.basic_publish(message, 'any_key', key)


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
@pytest.mark.parametrize('error', UNREADABLE)
def test_properties_that_cannot_be_read_are_kept(broker: Broker, error: str) -> None:
    publish(broker, Raw(b'first', UNREADABLE[error]), Raw(b'second'))
    first, second = receive(broker, 2)
    assert (bytes(first.body), first.properties[UNREAD]) == (b'first', UNREADABLE[error])
    assert first.properties[REASON].startswith(f'{error}: ')
    assert (bytes(second.body), UNREAD in second.properties) == (b'second', False)


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_the_library_itself_would_deliver_neither(broker: Broker) -> None:
    publish(broker, Raw(b'first', UNREADABLE['UnicodeDecodeError']), Raw(b'second'))
    with broker.connect() as connection:
        connection.default_channel.basic_consume('seams', callback=pytest.fail, no_ack=True)
        with pytest.raises(UnicodeDecodeError):
            connection.drain_events(timeout=PATIENCE)


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_a_routing_key_that_is_no_text_is_made_readable(broker: Broker) -> None:
    publish(broker, Raw(b'body'), key=b'caf\xe9')
    (message,) = receive(broker, 1)
    assert message.delivery_info['routing_key'] == 'caf\\xe9'
    assert message.delivery_info['exchange'] == 'any_key'


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
@pytest.mark.parametrize('properties', [b'\x00\x00', UNREADABLE['UnicodeDecodeError']])
def test_the_beginning_of_a_body_that_is_too_long_is_delivered(broker: Broker, properties: bytes) -> None:
    """RabbitMQ sends it in several frames, and the last of those that are delivered is cut."""
    bodies = [size * b'x' for size in (LONGEST, LONGEST + 1, 10 * LONGEST, 1)]
    publish(broker, *(Raw(body, properties) for body in bodies))
    messages = receive(broker, 4)
    assert [bytes(message.body) for message in messages] == [bodies[0], KEPT * b'x', KEPT * b'x', b'x']
    sizes = [None, LONGEST + 1, 10 * LONGEST, None]
    assert [message.properties.get(BODY_SIZE) for message in messages] == sizes
    assert all(message.properties[HEADER_SIZE] >= len(properties) for message in messages)


def test_another_method_that_is_no_text_is_an_error() -> None:
    on_frame = tolerant(SimpleNamespace(bytes_recv=0), lambda *arguments: b'\xff'.decode())
    with pytest.raises(UnicodeDecodeError):
        on_frame((1, 1, struct.pack('>HH', *spec.Basic.QosOk)))


def test_frames_that_make_no_message_are_an_error() -> None:
    connection = SimpleNamespace(bytes_recv=0)
    on_frame = tolerant(connection, lambda *arguments: None)
    with pytest.raises(UnexpectedFrame):
        on_frame((3, 1, b'a body without a message'))
