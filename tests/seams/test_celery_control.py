"""The commands of remote control."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker import control
from celery.worker.pidbox import Pidbox

from cadasta.workertoolbox.seams.celery_control import wrap_command


def test_a_worker_looks_a_command_up_where_it_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control.Panel, 'data', dict(control.Panel.data))
    wraps = []

    def wrap(command: Callable[..., Any]) -> Callable[..., Any]:
        wraps.append(command)
        return lambda state, **arguments: {'wrapped': command(state, **arguments)}

    for _ in range(2):
        wrap_command('time_limit', wrap)
    assert wraps == [control.time_limit]
    app = Celery(broker='memory://', set_as_current=False)
    box = Pidbox(SimpleNamespace(app=app, hostname='w@here', controller=SimpleNamespace(use_eventloop=False)))
    assert box.node.handle('time_limit', {'task_name': 'unknown'}) == {'wrapped': {'error': 'unknown task'}}
