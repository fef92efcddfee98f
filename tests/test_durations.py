from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from cadasta.workertoolbox.durations import ago, briefly, length, written


@pytest.mark.parametrize(
    ('age', 'read'),
    [
        ('0s', timedelta()),
        ('30s', timedelta(seconds=30)),
        ('15m', timedelta(minutes=15)),
        ('2h', timedelta(hours=2)),
        ('3d', timedelta(days=3)),
        ('1w', timedelta(days=7)),
        ('1000y', timedelta(days=365_000)),
        ('99999h', timedelta(hours=99_999)),
    ],
)
def test_ages(age: str, read: timedelta) -> None:
    assert length(age) == read
    before = datetime.now(UTC)
    assert before - read <= ago(age) <= datetime.now(UTC) - read


@pytest.mark.parametrize('text', ['', '1', 'd', '1 d', '-1d', '1.5d', '1D', '1dd', '100000s', '\u0661d', '1001y'])
def test_what_is_no_age(text: str) -> None:
    for read in (length, ago):
        with pytest.raises(
            ValueError, match=f'^{re.escape(repr(text))} is no age. Write it 30s, 15m, 2h, 3d, 1w, 1y.$'
        ):
            read(text)


@pytest.mark.parametrize(
    ('seconds', 'text', 'brief'),
    [
        (-1, '-1000 ms', '0.0s'),
        (0, '0 ms', '0.0s'),
        (0.9994, '999 ms', '1.0s'),
        (0.9995, '1.0 s', '1.0s'),
        (1.25, '1.2 s', '1.2s'),
        (9.94, '9.9 s', '9.9s'),
        (10, '10.0 s', '10s'),
        (59.94, '59.9 s', '60s'),
        (59.95, '1 min', '60s'),
        (61, '1 min 1 s', '61s'),
        (119, '1 min 59 s', '119s'),
        (120, '2 min', '2m'),
        (3599, '59 min 59 s', '60m'),
        (3600, '1 h', '60m'),
        (7199, '1 h 59 min', '120m'),
        (7200, '2 h', '2h'),
        (86_399, '23 h 59 min', '24h'),
        (86_400, '1 d', '24h'),
        (2 * 86_400, '2 d', '2d'),
        (100 * 86_400 + 3_600, '100 d 1 h', '100d'),
    ],
)
def test_durations(seconds: float, text: str, brief: str) -> None:
    assert (written(timedelta(seconds=seconds)), briefly(timedelta(seconds=seconds))) == (text, brief)
    assert briefly(None) == ''
