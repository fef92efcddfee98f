"""Rows of lists as JSON documents."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, get_type_hints

from .counts import Count
from .extent import LARGE, Bytes
from .failures import Failure
from .stats import TaskStats
from .task import TrackedTask
from .tree import Node, walk
from .workers import ReportedWorker

#: A row of a list.
Row = TrackedTask | Failure | TaskStats | ReportedWorker | Count
#: Writes a moment.
Written = Callable[[datetime], str]
#: Gives the same tasks, with more of their values.
Details = Callable[[Iterable[TrackedTask]], Iterator[TrackedTask]]

# A message quotes arguments as often as not.
_HIDDEN = (*LARGE, 'message')


@cache
def keys(kind: type[Any], arguments: bool) -> Mapping[str, Any]:
    """Give the keys of the document of a row, each with the type of its value.

    :param kind: the class of the row.
    :param arguments: whether the document includes arguments, options, results, tracebacks, and messages of errors.

    >>> keys(Count, False)['tasks'], 'message' in keys(Failure, False)
    (<class 'int'>, False)
    """
    found = {name: hint for name, hint in get_type_hints(kind).items() if arguments or name not in _HIDDEN}
    if kind is TrackedTask:
        found['duration'] = float | None
        if arguments:
            found['result'] = str | None
    return found


def document(row: Row, arguments: bool) -> dict[str, Any]:
    """Give the fields of the JSON document of a row. A task has its duration in seconds, in addition to its own.

    :param arguments: whether to include arguments, options, results, tracebacks, and messages of errors.

    >>> list(document(TrackedTask('1', 'SUCCESS'), False))[:3]
    ['task_id', 'status', 'date_done']
    """
    kind: Any = type(row)
    found = {name: getattr(row, name) for name in keys(kind, arguments)}
    if isinstance(row, TrackedTask):
        found['duration'] = row.duration.total_seconds() if row.duration is not None else None
        if row.result is not None and arguments:
            found['result'] = result_text(row.result)
    return found


def in_zone(moment: datetime, zone: tzinfo = UTC) -> str:
    """Write a moment as it is in a time zone.

    >>> in_zone(datetime(2030, 1, 1, tzinfo=UTC))
    '2030-01-01T00:00:00+00:00'
    """
    try:
        return moment.astimezone(zone).isoformat()
    except OverflowError:
        # The producer of a message chooses its times, and the last of all years ends at another time there.
        return moment.isoformat()


def dumped(row: Row, arguments: bool, written: Written = datetime.isoformat) -> str:
    """Give the `document` of a row as JSON, in one line of ASCII."""
    return json.dumps(document(row, arguments), default=written)


def dumped_tree(
    state: str, roots: list[Node], arguments: bool, details: Details, written: Written = datetime.isoformat
) -> Iterator[str]:
    """Give a workflow as JSON, in one line. Each task has a document, with its state in the tree and its children.

    :param state: the overall state.
    :param roots: the tree.
    :param arguments: whether to include arguments and results.
    :param details: gives the tasks of the tree with what is to be written of them, from the top down.
    :param written: writes a moment.
    :returns: the parts of the line.

    >>> ''.join(dumped_tree('SUCCESS', [], False, iter))
    '{"state": "SUCCESS", "tasks": []}'
    """
    detailed = details(node.task for node in walk(roots))
    # This loop replaces a recursion: a chain may have more steps than Python lets calls nest.
    yield f'{{"state": {json.dumps(state)}, "tasks": ['
    todo: list[Node | str] = [']}', *_separated(roots)]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            yield item
        else:
            told = json.dumps({'state': item.state, 'note': item.note})
            yield f'{dumped(next(detailed), arguments, written)[:-1]}, {told[1:-1]}, "children": ['
            todo += [']}', *_separated(item.children)]


def _separated(nodes: list[Node]) -> list[Node | str]:
    # The caller puts them on a stack, which gives the last one first.
    found: list[Node | str] = []
    for node in reversed(nodes):
        found += [node, ', ']
    return found[:-1]


def result_text(result: bytes) -> str:
    """Give a result as text if it is JSON, and otherwise its length. Of a `Bytes`, give the beginning of the text."""
    try:
        if isinstance(result, Bytes):
            return result.text()
        text = result.decode()
        json.loads(text)
    except (ValueError, RecursionError):
        return f'{len(result) + getattr(result, "more", 0)} bytes'
    return text
