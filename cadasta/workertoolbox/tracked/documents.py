"""Tasks as JSON documents."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any

from .extent import LARGE, Bytes
from .task import TrackedTask
from .tree import Node, walk

#: Writes a moment.
Written = Callable[[datetime], str]
#: Gives the same tasks, with more of their values.
Details = Callable[[Iterable[TrackedTask]], Iterator[TrackedTask]]

_NAMES = tuple(field.name for field in fields(TrackedTask))


def document(task: TrackedTask, arguments: bool) -> dict[str, Any]:
    """Give the fields of a task's JSON document: the columns of the view, and the duration in seconds.

    :param arguments: whether to include its arguments, options, result and traceback.

    >>> list(document(TrackedTask('1', 'SUCCESS'), False))[:3]
    ['task_id', 'status', 'date_done']
    """
    hidden = () if arguments else LARGE
    found = {name: getattr(task, name) for name in _NAMES if name not in hidden}
    if task.result is not None and arguments:
        found['result'] = result_text(task.result)
    return {**found, 'duration': task.duration.total_seconds() if task.duration is not None else None}


def dumped(task: TrackedTask, arguments: bool, written: Written = datetime.isoformat) -> str:
    """Give the `document` of a task as JSON, in one line of ASCII."""
    return json.dumps(document(task, arguments), default=written)


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
