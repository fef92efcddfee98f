"""Ages and durations, as people write and read them."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_AGE = re.compile(r'(\d{1,5})([smhdw])', re.ASCII)
_AGE_UNITS = {'s': 'seconds', 'm': 'minutes', 'h': 'hours', 'd': 'days', 'w': 'weeks'}
_UNITS = (('d', 86_400), ('h', 3_600), ('min', 60), ('s', 1))


def ago(age: str) -> datetime:
    """Subtract an age from the present time.

    :param age: a number, and ``s``, ``m``, ``h``, ``d`` or ``w``: seconds to weeks.
    :returns: the time, with a time zone.
    :raises ValueError: where the text is no age.

    >>> ago('1 year')
    Traceback (most recent call last):
    ValueError: '1 year' is no age. Write it 30s, 15m, 2h, 3d or 1w.
    """
    match = _AGE.fullmatch(age)
    if match is None:
        raise ValueError(f'{age!r} is no age. Write it 30s, 15m, 2h, 3d or 1w.')
    return datetime.now(UTC) - timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})


def written(length: timedelta) -> str:
    """Write a duration in its largest unit and the next smaller one.

    >>> [written(timedelta(seconds=seconds)) for seconds in (0.0312, 7.25, 250, 7_201, 100_000)]
    ['31 ms', '7.2 s', '4 min 10 s', '2 h', '1 d 3 h']
    """
    seconds = length.total_seconds()
    if seconds < 0.9995:
        return f'{seconds * 1_000:.0f} ms'
    if seconds < 59.95:
        return f'{seconds:.1f} s'
    rounded = round(seconds)
    (unit, size), (smaller, fraction) = next(pair for pair in pairwise(_UNITS) if rounded >= pair[0][1])
    rest = rounded % size // fraction
    return f'{rounded // size} {unit}' + (f' {rest} {smaller}' if rest else '')


def briefly(length: timedelta | None) -> str:
    """Write a duration in about four characters, for a column of a table.

    >>> briefly(timedelta(seconds=0.25)), briefly(timedelta(minutes=90)), briefly(None)
    ('0.2s', '90m', '')
    """
    if length is None:
        return ''
    seconds = max(length.total_seconds(), 0)
    for unit, size in _UNITS[:-1]:
        if seconds >= 2 * size:
            return f'{seconds / size:.0f}{unit[0]}'
    return f'{seconds:.1f}s' if seconds < 10 else f'{seconds:.0f}s'
