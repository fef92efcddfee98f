"""A worker that is told to consume a queue answers whether it does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker import control

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.unconsumed import leave_unconsumed


def test_the_command_for_another_consumer(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(control.Panel.data, 'add_consumer', control.add_consumer)
    app = Celery('unconsumed', set_as_current=False)
    app.config_from_object(Config(['export'], broker_url='memory://'))
    leave_unconsumed(app, app.conf.PLATFORM_QUEUE_NAME)
    called: list[Any] = []
    consumer = SimpleNamespace(call_soon=lambda *call, **_: called.append(call[1:]), add_task_queue=None)
    state = SimpleNamespace(app=app, consumer=consumer)
    refused = control.Panel.data['add_consumer'](state, queue=app.conf.PLATFORM_QUEUE_NAME)
    assert refused['error'].startswith("This worker does not consume 'platform.fifo', the platform queue.")
    assert refused['error'] in caplog.text
    assert not called
    for queue in ('export', 'other'):
        assert control.Panel.data['add_consumer'](state, queue=queue, exchange='tasks') == {
            'ok': f'add consumer {queue}'
        }
    assert called == [(queue, 'tasks', 'direct', None) for queue in ('export', 'other')]
    assert 'other' not in app.amqp.queues
