from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from kombu import Queue

from cadasta.workertoolbox.leases.renewal import Renewal
from cadasta.workertoolbox.leases.sqs import SQSLeases
from rig.servers.broker import Broker
from rig.servers.process import wait_until
from rig.servers.sqs import SQS, SQSBroker

from .conftest import Holder

pytestmark = pytest.mark.parametrize('broker', ['sqs'], indirect=True)

ACTION = 'ChangeMessageVisibilityBatch'


class Client:
    """SQS, but for one call, which is answered by a function of its entries.

    :param fail: gets the entries, returns those that fail.
    """

    def __init__(self, fail: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        self.fail = fail
        self.calls: list[list[str]] = []

    # boto3 has these names.
    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append([entry['ReceiptHandle'] for entry in Entries])
        return {'Failed': self.fail(Entries)}


def renewals(server: SQS) -> int:
    return server.calls().get(ACTION, 0)


def in_flight(broker: Broker, queue: str) -> int:
    """How many messages of the queue are hidden."""
    assert isinstance(broker, SQSBroker)
    name = 'ApproximateNumberOfMessagesNotVisible'
    answer = broker.client.get_queue_attributes(QueueUrl=broker.queues()[queue], AttributeNames=[name])
    return int(answer['Attributes'][name])


@pytest.mark.parametrize('queue', ['export', 'export.fifo'])
def test_ten_messages_are_renewed_by_a_call(holder: Holder, broker: Broker, sqs_server: SQS, queue: str) -> None:
    holder.hold(21, queue)
    before = renewals(sqs_server)
    SQSLeases(holder.channel, [Queue(queue)]).renew()
    assert renewals(sqs_server) - before == 3
    assert in_flight(broker, queue) == 21


def test_a_queue_that_may_not_be_renewed_does_not_hold_up_another(
    holder: Holder, broker: Broker, sqs_server: SQS, caplog: pytest.LogCaptureFixture
) -> None:
    for queue in ('export', 'msg'):
        holder.hold(1, queue)
    before = renewals(sqs_server)
    sqs_server.throttle(action=ACTION, queue=f'{broker.prefix}-export')
    try:
        SQSLeases(holder.channel, []).renew()
    finally:
        sqs_server.fail()
    assert renewals(sqs_server) - before == 1
    (message,) = caplog.messages
    assert f'{broker.prefix}-export; it is tried again: ' in message


def test_nothing_is_asked_for_nothing(holder: Holder, sqs_server: SQS) -> None:
    (tag,) = holder.hold(1)
    holder.channel.basic_ack(tag)
    before = renewals(sqs_server)
    SQSLeases(holder.channel, []).renew()
    assert renewals(sqs_server) == before


def test_a_queue_may_hide_messages_for_less_time_than_the_worker(holder: Holder, broker: Broker) -> None:
    holder.hold(0)
    leases = SQSLeases(holder.channel, [Queue('export')])
    assert leases.seconds() == 300
    assert isinstance(broker, SQSBroker)
    broker.client.set_queue_attributes(QueueUrl=broker.queues()['export'], Attributes={'VisibilityTimeout': '30'})
    assert leases.seconds() == 30


def test_a_worker_that_was_told_to_leave_all_its_queues_still_renews_what_it_holds(holder: Holder) -> None:
    holder.hold(1)
    assert SQSLeases(holder.channel, []).seconds() == 300


def test_what_was_acknowledged_before_its_call_is_left_out(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = holder.hold(12)

    def acknowledge_the_rest(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for tag in tags[10:]:
            holder.channel.qos.ack(tag)
        return []

    client = Client(acknowledge_the_rest)
    monkeypatch.setattr(holder.channel, '_sqs', client)
    SQSLeases(holder.channel, []).renew()
    assert client.calls == [tags[:10]]


@pytest.mark.parametrize('is_senders', [True, False])
def test_what_was_acknowledged_during_its_call_is_no_failure(
    holder: Holder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_senders: bool
) -> None:
    (tag,) = holder.hold(1)

    def acknowledge(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        holder.channel.qos.ack(tag)
        return [{'Id': '0', 'SenderFault': is_senders, 'Code': 'ReceiptHandleIsInvalid'}]

    monkeypatch.setattr(holder.channel, '_sqs', Client(acknowledge))
    SQSLeases(holder.channel, []).renew()
    assert not caplog.records


def test_a_lease_that_ended_is_told_once(
    holder: Holder, broker: Broker, sqs_server: SQS, caplog: pytest.LogCaptureFixture
) -> None:
    ended, _ = holder.hold(2)
    assert isinstance(broker, SQSBroker)
    broker.client.delete_message(QueueUrl=broker.queues()['export'], ReceiptHandle=ended)
    leases = SQSLeases(holder.channel, [])
    leases.renew()
    # The worker could have acknowledged it in this moment.
    assert not caplog.records
    for _ in range(2):
        leases.renew()
    (record,) = caplog.records
    assert 'does not renew the lease of task 0' in record.message
    holder.channel.basic_ack(ended)
    leases.renew()
    assert not leases._ended


def test_what_sqs_could_not_do_is_tried_again(
    holder: Holder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tag,) = holder.hold(1)
    client = Client(lambda entries: [{'Id': '0', 'SenderFault': False, 'Code': 'InternalError'}])
    monkeypatch.setattr(holder.channel, '_sqs', client)
    leases = SQSLeases(holder.channel, [])
    for _ in range(2):
        leases.renew()
    assert client.calls == [[tag], [tag]]
    assert [record.message.rpartition(': ')[2] for record in caplog.records] == ['InternalError'] * 2


def test_what_a_channel_put_back_is_not_renewed(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    (tag,) = holder.hold(1)
    # kombu does so before it puts it back.
    del holder.channel.qos.get(tag).delivery_info['sqs_queue']
    client = Client(lambda entries: [])
    monkeypatch.setattr(holder.channel, '_sqs', client)
    SQSLeases(holder.channel, []).renew()
    assert client.calls == []


def test_throttled_renewals_are_told_and_tried_again(
    holder: Holder, broker: Broker, sqs_server: SQS, caplog: pytest.LogCaptureFixture
) -> None:
    holder.hold(1)
    holder.channel.visibility_timeout = 1
    caplog.set_level(logging.WARNING)
    sqs_server.throttle(action=ACTION, queue=f'{broker.prefix}-export')
    renewal = Renewal(SQSLeases(holder.channel, [Queue('export')]), 1)
    renewal.start()
    try:
        wait_until(lambda: 'Too many requests' in caplog.text, 'the failure to be told')
        before = renewals(sqs_server)
        sqs_server.fail()
        wait_until(lambda: renewals(sqs_server) > before, 'the next renewal')
    finally:
        sqs_server.fail()
        renewal.stop()
