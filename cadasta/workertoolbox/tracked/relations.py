"""Read how a task relates to the other tasks of its workflow, from the task's own row."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..architecture import CHORD_UNLOCK
from .task import TrackedTask

#: The arguments of chains, groups and chords that are signatures themselves, by the type of the signature.
_CANVAS = {'chain': ('tasks',), 'group': ('tasks',), 'chord': ('header', 'body')}
# The fields of a message that hold other tasks.
_EMBEDDED = ('chord', 'chain', 'callbacks', 'errbacks')
_WRAPPING = '"([\' '


class Join(NamedTuple):
    """The tasks that a ``celery.chord_unlock`` waits for, and the task that it then sends.

    :param group_id: the group of the header.
    :param header: the ids of the header's tasks; empty where the monitor stores no arguments.
    :param body_id: the id of the body; `None` where the monitor stores no arguments.
    """

    group_id: str | None
    header: frozenset[str]
    body_id: str | None


def join_of(task: TrackedTask) -> Join | None:
    """Read the header and the body that a ``celery.chord_unlock`` joins.

    :param task: the task.
    :returns: `None` for every other task.

    >>> body = {'task': 'export.archive', 'options': {'task_id': '3'}}
    >>> join_of(TrackedTask('4', 'PENDING', name='celery.chord_unlock', args=['2', body], kwargs={'result': []}))
    Join(group_id='2', header=frozenset(), body_id='3')
    """
    if task.name != CHORD_UNLOCK:
        return None
    if isinstance(task.args, str):
        group_id, _, _ = task.args.lstrip(_WRAPPING).partition("'")
        return Join(group_id or None, frozenset(), None)
    arguments = task.args if isinstance(task.args, list) else []
    group_id, body = (*arguments, None, None)[:2]
    results = task.kwargs.get('result') if isinstance(task.kwargs, dict) else None
    return Join(group_id if isinstance(group_id, str) else None, frozenset(_texts(results)), _option(body, 'task_id'))


def steps(task: TrackedTask) -> list[str]:
    """List the tasks that a chain has after one of its tasks.

    :param task: the task.
    :returns: their ids, the next one first. The id of a chord is that of its body. A group has no id.

    >>> following = {'task': 'export.archive', 'options': {'task_id': '2'}}
    >>> steps(TrackedTask('1', 'SUCCESS', options={'chain': [following]}))
    ['2']
    """
    chain = task.options.get('chain') if isinstance(task.options, dict) else None
    # Celery stores the steps in reverse: it takes the next one from the end.
    found = [_option(_last(step), 'task_id') for step in reversed(chain)] if isinstance(chain, list) else []
    return [task_id for task_id in found if task_id is not None]


def relatives(task: TrackedTask) -> Iterator[tuple[str, str]]:
    """List the columns and values by which the other tasks of a workflow can be found.

    :param task: one of its tasks.
    :returns: names of columns, and the values that they have in other tasks.

    >>> sorted(relatives(TrackedTask('2', 'SUCCESS', root_id='1', options={
    ...     'chord': {'task': 'export.archive', 'options': {'task_id': '3'}}})))
    [('root_id', '1'), ('task_id', '2'), ('task_id', '3')]
    """
    yield 'task_id', task.task_id
    yield 'root_id', task.root_id or task.task_id
    if task.parent_id:
        yield 'task_id', task.parent_id
    if task.group_id:
        yield 'group_id', task.group_id
    embedded = [task.options.get(name) for name in _EMBEDDED] if isinstance(task.options, dict) else []
    join = join_of(task)
    if join is not None:
        if join.group_id:
            yield 'group_id', join.group_id
        # An id in the header may be that of a group, which was sent before.
        for name in join.header:
            yield 'task_id', name
            yield 'group_id', name
        embedded.append(task.args)
    yield from _mentioned(embedded)


def _mentioned(embedded: Any) -> Iterator[tuple[str, str]]:
    # This loop replaces a recursion: the sender of a message chooses how deeply it is nested.
    stack = [embedded]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif isinstance(item, dict) and 'task' in item:
            kind = item.get('subtask_type')
            if task_id := _option(item, 'task_id'):
                yield 'group_id' if kind == 'group' else 'task_id', task_id
            if group_id := _option(item, 'group_id'):
                yield 'group_id', group_id
            options, arguments = item.get('options'), item.get('kwargs')
            if isinstance(options, dict):
                stack += [options.get(name) for name in ('chord', 'chain', 'link', 'link_error')]
            if isinstance(arguments, dict):
                stack += [arguments.get(name) for name in _CANVAS.get(str(kind), ())]


def _last(step: Any) -> Any:
    kind = step.get('subtask_type') if isinstance(step, dict) else None
    if kind == 'chord':
        return step['kwargs'].get('body') if isinstance(step.get('kwargs'), dict) else None
    return None if kind == 'group' else step


def _option(signature: Any, name: str) -> str | None:
    options = signature.get('options') if isinstance(signature, dict) else None
    value = options.get(name) if isinstance(options, dict) else None
    return value if isinstance(value, str) else None


def _texts(nested: Any) -> Iterator[str]:
    stack = [nested]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif isinstance(item, str):
            yield item
