"""Write values for the pages: the filters of the templates."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup
from sqlalchemy.exc import DBAPIError

from ..database.faults import explained
from ..durations import written
from ..errors import NotUsable
from ..settings.credentials import masked
from ..tracked.task import TrackedTask

_CLASSES = {
    'SUCCESS': 'success',
    'FAILURE': 'failure',
    'RETRY': 'retry',
    'REVOKED': 'revoked',
    'STARTED': 'started',
    'RECEIVED': 'started',
}
#: The page shows this many characters of a value at most: a page of many megabytes helps nobody.
LONGEST = 20_000


def time(moment: datetime | None) -> str:
    """Write a moment to the second, in UTC, as HTML that programs understand too.

    >>> time(datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC))
    Markup('<time datetime="2026-11-22T15:04:05Z">2026-11-22 15:04:05</time>')
    """
    if moment is None:
        return 'unknown'
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d %H:%M:%S}</time>').format(utc, utc)


def plural(number: int, noun: str) -> str:
    """Count things.

    >>> plural(1, 'task'), plural(2_500, 'task')
    ('1 task', '2,500 tasks')
    """
    return f'{number:,} {noun}' if number == 1 else f'{number:,} {noun}s'


def seconds(number: float | None) -> str:
    """Write a number of seconds.

    >>> seconds(7.25), seconds(-10.0), seconds(None)
    ('7.2 s', '0 ms', '')
    """
    return '' if number is None else written(timedelta(seconds=max(number, 0)))


def name(task: TrackedTask) -> str:
    """Name a task. A result has no name where its task was not tracked."""
    return task.name or 'unknown task'


def state_class(state: str) -> str:
    """Give the CSS class of a state. A state that a task invented looks like PENDING."""
    return _CLASSES.get(state, 'pending')


def limits(timelimit: Any) -> str:
    """Write the time limits of a task, hard and soft, in seconds.

    >>> limits([300, None]), limits([None, None])
    ('hard 300 s', '')
    """
    if not isinstance(timelimit, list):
        return ''
    kinds = zip(('hard', 'soft'), timelimit, strict=False)
    return ', '.join(f'{kind} {seconds} s' for kind, seconds in kinds if seconds)


def whole(value: Any) -> str:
    """Write an argument, a result or a traceback as it is stored. This never unpickles.

    :param value: a JSON value, or the bytes that a worker serialized, or the beginning of one.
    :returns: the text.

    >>> print(whole([7, {'format': 'gpkg'}]), whole(b'{"path": "/tmp"}'), whole('ValueError: 7'))
    [7, {"format": "gpkg"}] {"path": "/tmp"} ValueError: 7
    """
    if isinstance(value, bytes):
        text = value.decode('utf-8', 'backslashreplace')
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    more = getattr(value, 'more', 0)
    return (
        f'{text}… and {plural(more, "more byte" if isinstance(value, bytes) else "more character")}' if more else text
    )


def reason(error: DBAPIError | NotUsable) -> str:
    """Say why the database cannot be read, without a credential."""
    return explained(error) if isinstance(error, DBAPIError) else masked(str(error))


FILTERS: dict[str, Callable[..., str]] = {
    'duration': written,
    **{function.__name__: function for function in (time, plural, seconds, name, state_class, limits, whole)},
}
