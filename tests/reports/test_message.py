"""Reports that anybody may have sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cadasta.workertoolbox.errors import Unreadable
from cadasta.workertoolbox.reports.message import MAX_QUEUES, MAX_TEXT, from_body, is_report

from .reports import report

WRONG: list[tuple[str, Any]] = [
    ('boot', '7'),
    ('boot', 7),
    ('boot', 'x' * 36),
    ('number', -1),
    ('number', True),
    ('number', 2**53 + 1),
    ('number', '1'),
    ('name', 'x' * 256),
    ('name', 'a\0b'),
    ('name', '\ud800'),
    ('host', None),
    ('pid', 1.5),
    ('queues', 'export'),
    ('queues', ['export', 7]),
    ('queues', ['export'] * (MAX_QUEUES + 1)),
    ('versions', {}),
    ('versions', {'celery': '1', 'kombu': '1', 'toolbox': '1', 'python': 7}),
    ('is_last', 'no'),
]


def test_what_a_worker_sends_is_read() -> None:
    made = report(name='x' * MAX_TEXT, queues=['x'] * MAX_QUEUES, number=2**53, done=0)
    assert from_body(json.loads(json.dumps(made._asdict()))) == made


def test_a_task_is_no_report() -> None:
    headers: list[dict[str, Any]] = [{'worker_report': 1}, {'worker_report': 1, 'task': 'a'}, {'task': 'a'}, {}]
    assert [is_report(given) for given in headers] == [True, False, False, False]


@pytest.mark.parametrize(('name', 'value'), WRONG, ids=lambda value: f'{value!r:.30}')
def test_wrong_values(name: str, value: Any) -> None:
    with pytest.raises(Unreadable, match=f'^the report of a worker has the {name} '):
        from_body({**report()._asdict(), name: value})


@pytest.mark.parametrize(
    'body', [None, [], 7, 'x', {}, {'boot': 'x'}, {**report()._asdict(), 'task': 'export.project'}]
)
def test_other_bodies(body: Any) -> None:
    with pytest.raises(Unreadable, match='does not have the fields of one'):
        from_body(body)
