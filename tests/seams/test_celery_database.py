"""A database backend reads, and makes requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context
from sqlalchemy.exc import OperationalError

from cadasta.workertoolbox.seams.celery_database import OpenBackend, are_results, was_not_sent


@pytest.mark.parametrize(
    ('children', 'expected'),
    [
        (None, True),
        ([[['1', None], None]], True),
        ([[['1', None], [[['2', None], None]]]], True),
        (5, False),
        (['1'], False),
    ],
)
def test_children(children: Any, expected: bool) -> None:
    assert are_results(children, Celery('seams', set_as_current=False)) is expected


def test_the_request_of_a_task_that_was_not_sent() -> None:
    stored = {}

    class Backend(OpenBackend):
        def store_result(self, task_id: str, result: Any, state: str, request: Any = None, **options: Any) -> None:
            stored[task_id] = was_not_sent(request)

    app = Celery('chain', set_as_current=False)
    following = app.signature('export.next').set(task_id='2')
    request = Context(id='1', task='export.project', errbacks=None, chain=[following])
    Backend(app=app, url='sqlite://').mark_as_failure('1', ValueError(), request=request)
    assert stored == {'1': False, '2': True}


def test_celery_calls_the_methods_that_may_be_overridden(tmp_path: Path) -> None:
    """It stores a state by two tries, and waits in between."""
    calls: list[str] = []

    class Backend(OpenBackend):
        def retried(self, function: Any, *args: Any, **options: Any) -> Any:
            calls.append('retried')
            return super().retried(function, *args, **options)

        def store_state(self, task_id: str, result: Any, state: str, **options: Any) -> None:
            calls.append('store_state')
            if calls.count('store_state') == 1:
                raise OperationalError('INSERT', {}, Exception('away'))
            super().store_state(task_id, result, state, **options)

        def pause(self, seconds: float) -> None:
            calls.append('pause')
            super().pause(0)

        def described(self, **options: Any) -> dict[str, Any]:
            calls.append('described')
            return super().described(**options)

        def read_state(self, task_id: str) -> dict[str, Any]:
            calls.append('read_state')
            return super().read_state(task_id)

    backend = Backend(app=Celery('seams', set_as_current=False), url=f'sqlite:///{tmp_path / "results.db"}')
    # It has made its table by then.
    calls.clear()
    backend.store_result('1', 7, 'SUCCESS')
    assert calls == ['retried', 'store_state', 'pause', 'store_state', 'described']
    calls.clear()
    assert backend.get_result('1') == 7
    assert calls == ['retried', 'read_state']
