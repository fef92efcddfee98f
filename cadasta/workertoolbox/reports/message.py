"""The report of a worker, as a message of the platform queue."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..database.values import storable
from ..errors import Unreadable

#: The header of a report. Its value is the version of the format.
HEADER = 'worker_report'
VERSION = 1
#: A body of more bytes is not read.
MAX_BODY = 64 * 2**10
#: A report names so many queues, and each text in it has so many characters, at most.
MAX_QUEUES = 200
MAX_TEXT = 255
#: The programs whose versions a worker tells.
PROGRAMS = ('celery', 'kombu', 'toolbox', 'python')

_BOOT = re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', re.ASCII)
_MAX_NUMBER = 2**53


class WorkerReport(NamedTuple):
    """The state of a worker, as the worker reports it.

    :param boot: the id that the worker chose when it started.
    :param number: 1 for its first report, 2 for its second, and so on.
    :param name: its name in Celery, such as ``celery@host``.
    :param host: the name of its host.
    :param pid: the id of its main process.
    :param queues: the names of the queues that it consumes.
    :param pool: the kind of its pool, such as ``prefork``.
    :param concurrency: how many tasks it can run at a time.
    :param active: how many tasks it runs.
    :param held: how many messages it holds: those of the tasks that it runs, has prefetched, or that wait for their
        ``eta``.
    :param done: how many tasks it has finished since it started.
    :param versions: the versions of Celery, kombu, this package and Python.
    :param is_last: whether the worker is about to end.
    """

    boot: str
    number: int
    name: str
    host: str
    pid: int
    queues: list[str]
    pool: str
    concurrency: int
    active: int
    held: int
    done: int
    versions: dict[str, str]
    is_last: bool


def is_report(headers: Mapping[Any, Any]) -> bool:
    """Tell whether a message says that it is a report. A task never is, whatever other headers it has.

    >>> is_report({'worker_report': 1}), is_report({'worker_report': 1, 'task': 'export.project'})
    (True, False)
    """
    return HEADER in headers and 'task' not in headers


def from_body(body: Any) -> WorkerReport:
    """Read a report, which anybody may have sent.

    :param body: the body of the message, as JSON has it.
    :raises Unreadable: where it is no report, or is larger than one can be.

    >>> from_body({'boot': '7'})
    Traceback (most recent call last):
    cadasta.workertoolbox.errors.Unreadable: the report of a worker does not have the fields of one
    """
    # A task of Celery's first protocol is a mapping, too. Whoever adds a field to it does not hide it.
    if not isinstance(body, dict) or body.keys() != _CHECKS.keys():
        raise Unreadable('the report of a worker does not have the fields of one')
    for name, value in body.items():
        if not _CHECKS[name](value):
            raise Unreadable(f'the report of a worker has the {name} {value!r:.100}')
    return WorkerReport(**body)


def _is_boot(value: Any) -> bool:
    return isinstance(value, str) and _BOOT.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and storable(value) == value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_NUMBER


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_QUEUES and all(map(_is_text, value))


def _are_versions(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == set(PROGRAMS) and all(map(_is_text, value.values()))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_CHECKS = {
    'boot': _is_boot,
    'queues': _are_texts,
    'versions': _are_versions,
    'is_last': _is_flag,
    **dict.fromkeys(('name', 'host', 'pool'), _is_text),
    **dict.fromkeys(('number', 'pid', 'concurrency', 'active', 'held', 'done'), _is_number),
}
