"""Ages as people write them."""

import re
from datetime import UTC, datetime, timedelta

_AGE = re.compile(r'(\d{1,5})([smhdw])', re.ASCII)
_UNITS = {'s': 'seconds', 'm': 'minutes', 'h': 'hours', 'd': 'days', 'w': 'weeks'}


def ago(age: str) -> datetime:
    """Tell the time at which something of an age began.

    :param age: a number, and ``s``, ``m``, ``h``, ``d`` or ``w``: seconds to weeks.
    :returns: the time, with a time zone.
    :raises ValueError: where it cannot be understood.

    >>> ago('1 year')
    Traceback (most recent call last):
    ValueError: '1 year' is no age. Write it 30s, 15m, 2h, 3d or 1w.
    """
    match = _AGE.fullmatch(age)
    if match is None:
        raise ValueError(f'{age!r} is no age. Write it 30s, 15m, 2h, 3d or 1w.')
    return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
