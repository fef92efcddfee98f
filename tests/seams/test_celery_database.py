"""What a database backend reads."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from cadasta.workertoolbox.seams.celery_database import are_results


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
