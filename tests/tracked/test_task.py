"""The times of a task that are made of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cadasta.workertoolbox.tracked import TrackedTask

from .rows import minutes

SENT = {'sent': minutes(1)}
SEEN = {'first_seen': minutes(2)}
DONE = {'date_done': minutes(4)}


@pytest.mark.parametrize(
    ('status', 'values', 'duration'),
    [
        ('SUCCESS', {**SENT, **SEEN, **DONE}, 3),
        ('SUCCESS', {**SENT, 'first_seen': minutes(0), **DONE}, 4),
        ('FAILURE', {**SEEN, **DONE}, 2),
        ('REVOKED', {**SENT, 'date_done': minutes(0)}, 0),
        ('STARTED', {**SENT, **SEEN, **DONE}, None),
        ('SUCCESS', {**SENT, **SEEN}, None),
        ('SUCCESS', DONE, None),
    ],
)
def test_duration(status: str, values: dict[str, Any], duration: float | None) -> None:
    expected = None if duration is None else timedelta(minutes=duration)
    assert TrackedTask('1', status, **values).duration == expected
