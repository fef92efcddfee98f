"""What a database backend reads, and the requests that it makes."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context

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
