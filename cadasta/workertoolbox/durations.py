"""Ages and durations, as people write and read them."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_AGE = re.compile(r'(\d{1,5})([smhdwy])', re.ASCII)
_AGE_UNITS = {'s': 1, 'm': 60, 'h': 3_600, 'd': 86_400, 'w': 7 * 86_400, 'y': 365 * 86_400}
# No calendar reaches further back.
_LONGEST = timedelta(days=365 * 1_000)
_UNITS = (('d', 86_400), ('h', 3_600), ('min', 60), ('s', 1))


def length(age: str) -> timedelta:
    """Read an age.

    :param age: a number, and ``s``, ``m``, ``h``, ``d``, ``w`` or ``y``: seconds to years of 365 days.
    :returns: the age.
    :raises ValueError: where the text is no age, or is one of more than 1,000 years.

    >>> length('90d')
    datetime.timedelta(days=90)
    >>> length('1 year')
    Traceback (most recent call last):
    ValueError: '1 year' is no age. Write it 30s, 15m, 2h, 3d, 1w, 1y.
    """
    match = _AGE.fullmatch(age)
    read = timedelta() if match is None else timedelta(seconds=int(match[1]) * _AGE_UNITS[match[2]])
    if match is None or read > _LONGEST:
        raise ValueError(f'{age!r} is no age. Write it 30s, 15m, 2h, 3d, 1w, 1y.')
    return read


def ago(age: str) -> datetime:
    """Subtract an age, as `length` reads it, from the present time.

    :returns: the time, with a time zone.
    :raises ValueError: where the text is no age.

    >>> ago('1w') < ago('6d')
    True
    """
    return datetime.now(UTC) - length(age)


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
