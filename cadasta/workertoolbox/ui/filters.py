"""Read filters and the place in the list from an address, and write them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from werkzeug.exceptions import BadRequest

from ..durations import ago
from ..tracked.filter import Filter
from ..tracked.task import Cursor

_FIELDS = ('state', 'name', 'queue', 'root', 'newer', 'older')


def read(arguments: Mapping[str, str]) -> dict[str, str]:
    """Take the fields of the form out of an address.

    :param arguments: the query of the address.
    :returns: the value of each field; it is empty where the address has none.

    >>> read({'state': ' FAILURE ', 'before': '…'})
    {'state': 'FAILURE', 'name': '', 'queue': '', 'root': '', 'newer': '', 'older': ''}
    """
    return {field: arguments.get(field, '').strip() for field in _FIELDS}


def to_filter(fields: Mapping[str, str]) -> Filter:
    """Make a filter.

    :param fields: the fields, as `read` returns them.
    :raises BadRequest: where the text of an age is no age. The error names the field.

    >>> to_filter(read({'name': 'export.*', 'newer': '1 year'}))
    Traceback (most recent call last):
    werkzeug.exceptions.BadRequest: 400 Bad Request: Newer than: '1 year' is no age. Write it 30s, 15m, 2h, 3d, 1w, 1y.
    """
    return Filter(
        state=fields['state'] or None,
        name=fields['name'] or None,
        root=fields['root'] or None,
        queue=fields['queue'] or None,
        newer_than=_moment('Newer than', fields['newer']),
        older_than=_moment('Older than', fields['older']),
    )


def _moment(label: str, age: str) -> datetime | None:
    if not age:
        return None
    try:
        return ago(age)
    except ValueError as error:
        raise BadRequest(f'{label}: {error}') from None


def write_cursor(cursor: Cursor) -> str:
    """Write a place in the list as the parameter ``before`` of an address.

    >>> write_cursor(Cursor(datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC), 'export-7'))
    '2026-11-22T15:04:05+00:00,export-7'
    """
    return f'{cursor.first_seen.isoformat() if cursor.first_seen else ""},{cursor.task_id}'


def read_cursor(arguments: Mapping[str, str]) -> Cursor | None:
    """Take a place in the list out of an address.

    :param arguments: the query of the address.
    :returns: `None` where the list begins with the newest task.
    :raises BadRequest: where the parameter is no place. The error names it.

    >>> read_cursor({'before': '2026-11-22T15:04:05+00:00,export-7'}).task_id
    'export-7'
    """
    value = arguments.get('before', '')
    if not value:
        return None
    moment, _, task_id = value.partition(',')
    try:
        first_seen = datetime.fromisoformat(moment).astimezone(UTC) if moment else None
    except (ValueError, OverflowError):
        raise BadRequest(f'before: {value!r} is no place in the list. Begin with the newest tasks.') from None
    return Cursor(first_seen, task_id)
