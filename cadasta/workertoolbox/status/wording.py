"""Tasks as text and as JSON: harmless to a terminal, whoever chose the names."""

import json
import unicodedata
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from .task import TaskStatus
from .tree import Node

# Controls, formats such as those that turn the direction of a text, halves of characters, ends of lines and paragraphs.
_HARMFUL = ('Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp')
# What a task was called with, what it made of it, and messages that may quote both.
_PRIVATE = ('args', 'kwargs', 'options', 'result', 'traceback')
_UNITS = ((86400, 'd'), (3600, 'h'), (60, 'm'))


def harmless(text: str) -> str:
    r"""Spell out the characters that a terminal would obey.

    >>> print(harmless('\x1b[31mred'))
    \x1b[31mred
    """
    if text.isascii() and text.isprintable():
        return text
    return ''.join(
        character.encode('unicode_escape').decode() if unicodedata.category(character) in _HARMFUL else character
        for character in text
    )


def length(time: timedelta | None) -> str:
    """Say how long something took, in about four characters.

    >>> length(timedelta(seconds=0.25)), length(timedelta(minutes=90)), length(None)
    ('0.2s', '90m', '')
    """
    if time is None:
        return ''
    seconds = max(time.total_seconds(), 0)
    for unit, name in _UNITS:
        if seconds >= 2 * unit:
            return f'{seconds / unit:.0f}{name}'
    return f'{seconds:.1f}s' if seconds < 10 else f'{seconds:.0f}s'


def call(task: TaskStatus) -> str:
    """Write down what a task was called with, and what it returned or raised.

    >>> call(TaskStatus('1', 'SUCCESS', args=[7], kwargs={'page': 2}, result=b'"a.pdf"'))
    '(7, page=2) → "a.pdf"'
    """
    result = '' if task.result is None else f' → {_result(task.result)}'
    if isinstance(task.args, str):
        # The monitor stores no arguments: these are texts which the sender allowed.
        return harmless(f'{task.args} {task.kwargs or ""}'.rstrip() + result)
    # Of messages of the first protocol, nobody has checked what these are.
    args = [_json(item) for item in task.args] if isinstance(task.args, list) else []
    named = [f'{name}={_json(item)}' for name, item in task.kwargs.items()] if isinstance(task.kwargs, dict) else []
    return harmless(f'({", ".join([*args, *named])}){result}')


def document(task: TaskStatus, arguments: bool) -> dict[str, Any]:
    """Make what is written as JSON of a task: the columns of the view, and its duration in seconds.

    :param arguments: with its arguments, options, result and traceback.

    >>> list(document(TaskStatus('1', 'SUCCESS'), False))[:3]
    ['task_id', 'status', 'date_done']
    """
    hidden = () if arguments else _PRIVATE
    found = {name: value for name, value in asdict(task).items() if name not in hidden}
    if task.result is not None and arguments:
        found['result'] = _result(task.result)
    return {**found, 'duration': task.duration.total_seconds() if task.duration is not None else None}


def dumped(task: TaskStatus, arguments: bool) -> str:
    """Give the `document` of a task as JSON, in one line of ASCII."""
    return json.dumps(document(task, arguments), default=datetime.isoformat)


def dumped_tree(state: str, roots: list[Node], arguments: bool) -> str:
    """Give a workflow as JSON, in one line: a document a task, with its state in the tree and with its children.

    :param state: the overall state.
    :param roots: the tree.
    :param arguments: with arguments and results.

    >>> dumped_tree('SUCCESS', [], False)
    '{"state": "SUCCESS", "tasks": []}'
    """
    # A chain may have more steps than a recursion can go deep.
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
    # Backwards, for a stack.
    found: list[Node | str] = []
    for node in reversed(nodes):
        found += [node, ', ']
    return found[:-1]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _result(result: bytes) -> str:
    try:
        text = result.decode()
        json.loads(text)
    except (ValueError, RecursionError):
        return f'{len(result)} bytes'
    return text
