"""Read filters and the place in the list from an address, and write them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from werkzeug.exceptions import BadRequest

from ..durations import ago
from ..tracked.filter import Filter
from ..tracked.task import Cursor

#: The fields of the form, each with the tasks that it finds.
FIELDS = {
    'find': 'Tasks of this name, or whose id begins so. With a * at its end, tasks whose names begin so.',
    'state': "Tasks of this state. It may be one of the app's own.",
    'standing': 'Tasks of which this has become.',
    'queue': 'Tasks of this routing key.',
    'error': 'Tasks that raised an exception of this class last.',
    'worker': 'Tasks that this worker started last, or workers whose names begin so.',
    'group': 'Tasks of this group, or of the header of this chord.',
    'root': 'Tasks of the workflow that began with the task of this id.',
    'newer': 'Tasks first seen in this time.',
    'older': 'Tasks first seen before this time.',
}
#: Those of them that are ages.
AGES = ('newer', 'older')

#: A place in the list begins so. Its moment is in microseconds, because each number is a moment.
PLACE = re.compile('^([0-9]{0,17}),')

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def read(arguments: Mapping[str, str]) -> dict[str, str]:
    """Take the fields of the form out of an address.

    :param arguments: the query of the address.
    :returns: the fields that have a value.

    >>> read({'state': ' FAILURE ', 'queue': ' ', 'before': '…'})
    {'state': 'FAILURE'}
    """
    fields = {field: arguments.get(field, '').strip() for field in FIELDS}
    return {field: value for field, value in fields.items() if value}


def problems(fields: Mapping[str, str]) -> dict[str, str]:
    """Tell which fields cannot be understood.

    :param fields: the fields, as `read` returns them.
    :returns: for each of these fields, what is wrong with it.

    >>> problems({'newer': '1 year', 'older': '3d'})
    {'newer': "'1 year' is no age. Write it 30s, 15m, 2h, 3d, 1w, 1y."}
    """
    found = {}
    for field in AGES:
        try:
            ago(fields.get(field, '0s'))
        except ValueError as error:
            found[field] = str(error)
    return found


def to_filters(fields: Mapping[str, str]) -> list[Filter]:
    """Make the filters that a list tries, one after the other, until one finds a task.

    A text that somebody looks for is a name, or the beginning of an id.

    :param fields: the fields, none of which has a problem.

    >>> [(where.name, where.id_prefix) for where in to_filters({'find': '0a1b'})]
    [('0a1b', None), (None, '0a1b')]
    >>> [(where.name, where.id_prefix) for where in to_filters({'find': 'export.*'})]
    [('export.*', None)]
    """
    find = fields.get('find')
    by_name = _to_filter(fields, name=find)
    return [by_name] if find is None or find.endswith('*') else [by_name, _to_filter(fields, id_prefix=find)]


def _to_filter(fields: Mapping[str, str], name: str | None = None, id_prefix: str | None = None) -> Filter:
    newer, older = (ago(fields[field]) if field in fields else None for field in AGES)
    return Filter(
        name=name,
        id_prefix=id_prefix,
        state=fields.get('state'),
        standing=fields.get('standing'),
        queue=fields.get('queue'),
        error=fields.get('error'),
        worker=fields.get('worker'),
        group=fields.get('group'),
        root=fields.get('root'),
        newer_than=newer,
        older_than=older,
    )


def write_cursor(cursor: Cursor) -> str:
    """Write a place in the list as the parameter ``before`` of an address.

    >>> write_cursor(Cursor(datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC), 'export-7'))
    '1795359845000000,export-7'
    """
    since = '' if cursor.first_seen is None else (cursor.first_seen - _BEGINNING) // _MICROSECOND
    return f'{since},{cursor.task_id}'


def read_cursor(arguments: Mapping[str, str]) -> Cursor | None:
    """Take a place in the list out of an address.

    :param arguments: the query of the address.
    :returns: `None` where the list begins with the newest task.
    :raises BadRequest: where the parameter is no place. The error names it.

    >>> read_cursor({'before': '1795359845000000,export-7'}).task_id
    'export-7'
    """
    value = arguments.get('before', '')
    if not value:
        return None
    place = PLACE.match(value)
    if place is None:
        raise BadRequest(f'before: {value!r} is no place in the list. Begin with the newest tasks.')
    return Cursor(_BEGINNING + int(place[1]) * _MICROSECOND if place[1] else None, value[place.end() :])
