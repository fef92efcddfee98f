"""The bootstep of the consumer, beside a consumer that does nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.concurrency.solo import TaskPool as Solo
from celery.concurrency.thread import TaskPool as Threads
from kombu import Queue
from kombu.utils.imports import symbol_by_name

from cadasta.workertoolbox.leases import renew_leases
from cadasta.workertoolbox.leases.step import Renew

from .conftest import Holder


def consumer_of(holder: Holder, pool: Any = Threads) -> Any:
    holder.hold(0)
    return SimpleNamespace(
        connection=holder.channel.connection.client,
        task_consumer=SimpleNamespace(channel=holder.channel, queues=[Queue('export')]),
        pool=pool(),
    )


@pytest.mark.parametrize('broker', ['redis', 'sqs'], indirect=True)
def test_it_renews_until_the_worker_has_ended(holder: Holder) -> None:
    consumer = consumer_of(holder)
    step = Renew(consumer)
    step.start(consumer)
    first = step._renewal
    # The connection was lost: there is another channel.
    step.start(consumer)
    second = step._renewal
    assert first is not None
    assert second is not None
    assert not first._thread.is_alive()
    step.stop(consumer)
    assert second._thread.is_alive()
    step.shutdown(consumer)
    assert not second._thread.is_alive()


@pytest.mark.parametrize('broker', ['memory', 'filesystem', 'amqp'], indirect=True)
def test_other_brokers_have_no_leases(holder: Holder) -> None:
    consumer = consumer_of(holder)
    step = Renew(consumer)
    step.start(consumer)
    assert step._renewal is None
    step.shutdown(consumer)


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
@pytest.mark.parametrize(('pool', 'estimate'), [(Solo, 1), (Threads, 10), (lambda: SimpleNamespace(is_green=True), 1)])
def test_a_pool_that_holds_up_its_worker_takes_one_message_at_a_time(holder: Holder, pool: Any, estimate: int) -> None:
    consumer = consumer_of(holder, pool)
    step = Renew(consumer)
    step.start(consumer)
    assert holder.channel._get_message_estimate() == estimate
    step.shutdown(consumer)


def test_an_app_has_the_step_once() -> None:
    app = Celery('test', set_as_current=False)
    renew_leases(app)
    renew_leases(app)
    (step,) = app.steps['consumer']
    assert symbol_by_name(step) is Renew
