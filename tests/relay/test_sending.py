"""A relay tells a message that the broker can never take from a broker that takes nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from amqp import PreconditionFailed
from botocore.exceptions import ClientError
from celery import Celery
from kombu.exceptions import EncodeError, OperationalError

from cadasta.workertoolbox.relay import loop, sending
from cadasta.workertoolbox.relay.parcels import message_of
from cadasta.workertoolbox.relay.sending import STRIKES, Sender, is_refusal
from cadasta.workertoolbox.seams.kombu_virtual import GROUP
from cadasta.workertoolbox.transports.amqp import NotConfirmed
from cadasta.workertoolbox.transports.receipt import Busy, Refused
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.sqs import SQS, SQSBroker

from ..publishing.test_collecting import ids, memory
from .conftest import Make, Shop

sqlite = pytest.mark.parametrize('url', ['sqlite'], indirect=True)
BROKEN = OperationalError('[Errno 104] Connection reset by peer')


def rows(*numbers: int) -> list[Any]:
    return [
        SimpleNamespace(
            id=number, task_id=str(number), name='export.project', routing_key='export', headers='{}', properties='{}',
            body=b'[]',
        )
        for number in numbers
    ]  # fmt: skip


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> dict[int, Exception]:
    """The errors that the broker gives to messages, by their numbers, and at -1 to all."""
    faults: dict[int, Exception] = {}

    def deliver(app: Celery, messages: list[Any]) -> None:
        while messages:
            number = known[id(messages[0])]
            if error := faults.get(number) or faults.get(-1):
                raise error
            del messages[0]

    known: dict[int, int] = {}
    made = sending.message_of

    def remember(row: Any, topology: Any) -> Any:
        message = made(row, topology)
        known[id(message)] = row.id
        keep.append(message)
        return message

    keep: list[Any] = []
    monkeypatch.setattr(sending, 'deliver', deliver)
    monkeypatch.setattr(sending, 'message_of', remember)
    return faults


Faults = dict[int, Exception]


@memory
def test_one_that_breaks_the_connection_is_given_up(app: Celery, faults: Faults) -> None:
    sender = Sender(app)
    faults[2] = BROKEN
    first = sender.send(rows(1, 2, 3))
    assert (first.published, first.refused, first.error) == ([1], {}, BROKEN)
    for number in range(1, STRIKES):
        outcome = sender.send(rows(2, 10 + number))
        assert (outcome.published, outcome.refused, outcome.error) == ([10 + number], {}, BROKEN)
    outcome = sender.send(rows(2, 20))
    assert (outcome.published, outcome.error) == ([20], None)
    assert outcome.refused == {2: f'3 times, the broker broke off with this message and not with others: {BROKEN}'}
    assert sender.send(rows(4, 5)) == ([4, 5], {}, None)


@memory
@pytest.mark.parametrize(
    'error',
    [
        Busy('a queue is full'),
        NotConfirmed('within 30 s'),
        ClientError({'Error': {'Code': 'RequestThrottled'}}, 'SendMessage'),
    ],
)
def test_one_that_the_broker_may_take_later_is_not(app: Celery, faults: Faults, error: Exception) -> None:
    sender = Sender(app)
    faults[2] = error
    for number in range(STRIKES + 2):
        outcome = sender.send(rows(2, 10 + number))
        assert (outcome.refused, outcome.error) == ({}, error)
    faults.clear()
    assert sender.send(rows(2, 3)) == ([2, 3], {}, None)


@memory
def test_none_is_given_up_where_the_broker_takes_none(app: Celery, faults: Faults) -> None:
    sender = Sender(app)
    faults[-1] = BROKEN
    for _ in range(STRIKES + 2):
        assert sender.send(rows(*range(20))) == ([], {}, BROKEN)
    faults.clear()
    assert sender.send(rows(*range(20))) == (list(range(20)), {}, None)


@memory
def test_one_that_breaks_the_connection_alone_holds_up_nobody(app: Celery, faults: Faults) -> None:
    sender = Sender(app)
    faults[2] = BROKEN
    for _ in range(STRIKES + 2):
        assert sender.send(rows(2)) == ([], {}, BROKEN)


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_one_that_broke_off_once_is_given_up_alone(make: Make, broker: Broker, faults: Faults) -> None:
    """But not while nobody can connect."""
    sender = Sender(make(broker_url=broker.proxied_url))
    faults[2] = BROKEN
    for _ in range(2):
        sender.send(rows(2, 3))
    broker.refuse()
    for _ in range(STRIKES):
        assert sender.send(rows(2)) == ([], {}, BROKEN)
    broker.listen()
    assert sender.send(rows(2)) == ([], {}, BROKEN)
    assert sender.send(rows(2)).refused.keys() == {2}


@memory
def test_none_is_given_up_while_nobody_can_connect(
    app: Celery, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(app)
    faults[2] = BROKEN
    for _ in range(2):
        sender.send(rows(2, 3))

    def refuse(connection: Any) -> None:
        raise BROKEN

    with monkeypatch.context() as patch:
        patch.setattr(sending, 'connect_once', refuse)
        for _ in range(STRIKES):
            assert sender.send(rows(2)) == ([], {}, BROKEN)
    assert sender.send(rows(2)) == ([], {}, BROKEN)
    assert sender.send(rows(2)).refused.keys() == {2}


@memory
def test_those_that_fail_here_and_there_hold_up_nobody(app: Celery, faults: Faults) -> None:
    sender = Sender(app)
    faults.update(dict.fromkeys(range(0, 14, 2), BROKEN))
    assert sender.send(rows(0)) == ([], {}, BROKEN)
    assert sender.send(rows(*range(14))) == ([*range(1, 14, 2)], {}, BROKEN)
    assert sender._is_careful
    faults.clear()
    assert sender.send(rows(2)) == ([2], {}, None)
    assert not sender._is_careful


@pytest.mark.parametrize('grouped', [True, False])
def test_a_queue_with_groups_gets_its_messages_in_groups(grouped: bool) -> None:
    topology: Any = SimpleNamespace(
        exchange='task_exchange', declaration=lambda name, key: SimpleNamespace(grouped=grouped, fair=False)
    )
    (row,) = rows(1)
    assert (GROUP in message_of(row, topology).options) == grouped


@memory
def test_one_that_is_refused_by_its_name(app: Celery, faults: Faults) -> None:
    sender = Sender(app)
    faults[2] = Refused('amqp://ada:hush@host: not this one')
    assert sender.send(rows(1, 2, 3)).error is faults[2]
    assert sender.send(rows(2, 3)) == ([3], {2: 'amqp://********@host: not this one'}, None)


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (EncodeError('an object'), True),
        (TypeError('an object'), True),
        (PreconditionFailed('PRECONDITION_FAILED - message size 9 is larger than configured max size 8'), True),
        (PreconditionFailed("PRECONDITION_FAILED - inequivalent arg 'x-queue-type'"), False),
        (ClientError({'Error': {'Code': 'InvalidParameterValue'}}, 'SendMessage'), True),
        (ClientError({'Error': {'Code': 'AWS.SimpleQueueService.BatchRequestTooLong'}}, 'SendMessage'), True),
        (ClientError({'Error': {'Code': 'RequestThrottled'}}, 'SendMessage'), False),
        (Busy('a queue is full'), False),
        (OSError(), False),
    ],
)
def test_refusals(error: Exception, expected: bool) -> None:
    assert is_refusal(error) is expected


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
@sqlite
def test_sqs_refuses_one(app: Celery, broker: SQSBroker, shop: Shop) -> None:
    """It is larger than Amazon allows."""
    shop.order(app, 'before', '1')
    shop.order(app, 'too large', args=('x' * 1_200_000,))
    shop.order(app, '2')
    shop.relay(app)
    # The platform has taken some of the copies in the call before the one that failed.
    assert sorted(ids(broker)) == sorted(set(ids(broker, PLATFORM_QUEUE))) == ['1', '2', 'before']
    ((task_id, reason),) = shop.left()
    assert task_id == 'too large'
    assert 'BatchRequestTooLong' in str(reason)


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
@sqlite
def test_sqs_is_throttled(app: Celery, broker: SQSBroker, shop: Shop, sqs_server: SQS) -> None:
    shop.order(app, *'123')
    sqs_server.fail(answer='throttled', action='SendMessageBatch', prefix=broker.prefix)
    sender = Sender(app)
    try:
        for _ in range(STRIKES + 1):
            outcome = sender.send(rows(1, 2))
            assert (outcome.published, outcome.refused) == ([], {})
            assert 'Too many requests' in str(outcome.error)
    finally:
        sqs_server.fail()
    shop.relay(app)
    assert sorted(ids(broker)) == [*'123']


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
@sqlite
def test_rabbitmq_breaks_off(make: Make, broker: Broker, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the connection for headers that are larger than a frame."""
    monkeypatch.setattr(loop, '_FIRST_PAUSE', 0)
    app = make(task_publish_retry_policy={'max_retries': 0})
    shop.order(app, '1')
    shop.order(app, 'too large', headers={'large': 'x' * 500_000})
    shop.order(app, '2')
    shop.relay(app)
    assert set(ids(broker)) == set(ids(broker, PLATFORM_QUEUE)) == {'1', '2'}
    ((task_id, reason),) = shop.left()
    assert task_id == 'too large'
    assert str(reason).startswith('3 times, the broker broke off with this message and not with others: ')
