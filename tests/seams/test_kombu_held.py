"""Parts of kombu that are not public: these tests fail when kombu moves them."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest

from cadasta.workertoolbox.seams.kombu_held import held, is_held, take_one_at_a_time

from ..leases.conftest import Holder

on = pytest.mark.parametrize('broker', ['memory', 'redis', 'sqs'], indirect=True)


@on
def test_what_is_acknowledged_or_rejected_is_held_no_longer(holder: Holder) -> None:
    acknowledged, rejected, kept = holder.hold(3)
    assert set(held(holder.channel)) == {acknowledged, rejected, kept}
    holder.channel.basic_ack(acknowledged)
    holder.channel.basic_reject(rejected, requeue=False)
    assert set(held(holder.channel)) == {kept}
    assert [is_held(holder.channel, tag) for tag in (acknowledged, rejected, kept)] == [False, False, True]


@on
def test_a_channel_that_is_closed_holds_nothing(holder: Holder) -> None:
    (tag,) = holder.hold(1)
    holder.channel.close()
    assert not held(holder.channel)
    assert not is_held(holder.channel, tag)


def test_another_thread_changes_what_is_held() -> None:
    class Changing(OrderedDict[str, Any]):
        changes = 1

        def items(self) -> Any:
            if self.changes:
                self.changes -= 1
                raise RuntimeError('OrderedDict mutated during iteration')
            return super().items()

    qos = SimpleNamespace(_delivered=Changing(tag='message'), _dirty=set())
    assert held(SimpleNamespace(closed=False, qos=qos)) == {'tag': 'message'}


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
@pytest.mark.parametrize('prefetch', [0, 1, 8])
def test_a_channel_takes_one_message_at_a_time(holder: Holder, prefetch: int) -> None:
    holder.channel.basic_qos(0, prefetch, False)
    assert holder.channel._get_message_estimate() == (prefetch or 10)
    take_one_at_a_time(holder.channel)
    assert holder.channel._get_message_estimate() == 1
