"""Tasks as JSON documents."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from .task import TrackedTask
from .tree import Node

# The columns that hold arguments and results, or messages that may quote them.
_PRIVATE = ('args', 'kwargs', 'options', 'result', 'traceback')


def document(task: TrackedTask, arguments: bool) -> dict[str, Any]:
    """Give the fields of a task's JSON document: the columns of the view, and the duration in seconds.

    :param arguments: whether to include its arguments, options, result and traceback.

    >>> list(document(TrackedTask('1', 'SUCCESS'), False))[:3]
    ['task_id', 'status', 'date_done']
    """
    hidden = () if arguments else _PRIVATE
    found = {name: value for name, value in asdict(task).items() if name not in hidden}
    if task.result is not None and arguments:
        found['result'] = result_text(task.result)
    return {**found, 'duration': task.duration.total_seconds() if task.duration is not None else None}


def dumped(task: TrackedTask, arguments: bool) -> str:
    """Give the `document` of a task as JSON, in one line of ASCII."""
    return json.dumps(document(task, arguments), default=datetime.isoformat)


def dumped_tree(state: str, roots: list[Node], arguments: bool) -> str:
    """Give a workflow as JSON, in one line. Each task has a document, with its state in the tree and its children.

    :param state: the overall state.
    :param roots: the tree.
    :param arguments: whether to include arguments and results.

    >>> dumped_tree('SUCCESS', [], False)
    '{"state": "SUCCESS", "tasks": []}'
    """
    # This loop replaces a recursion: a chain may have more steps than Python lets calls nest.
    parts = [f'{{"state": {json.dumps(state)}, "tasks": [']
    todo: list[Node | str] = [']}', *_separated(roots)]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            parts.append(item)
        else:
            parts.append(dumped(item.task, arguments)[:-1] + f', "state": {json.dumps(item.state)}, "children": [')
            todo += [']}', *_separated(item.children)]
    return ''.join(parts)


def _separated(nodes: list[Node]) -> list[Node | str]:
    # The caller puts them on a stack, which gives the last one first.
    found: list[Node | str] = []
    for node in reversed(nodes):
        found += [node, ', ']
    return found[:-1]


def result_text(result: bytes) -> str:
    try:
        text = result.decode()
        json.loads(text)
    except (ValueError, RecursionError):
        return f'{len(result)} bytes'
    return text
