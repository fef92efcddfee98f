"""Read how a task relates to the other tasks of its workflow, from the task's own row."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ..architecture import CHORD_UNLOCK
from .task import TrackedTask

#: The arguments of chains, groups and chords that are signatures themselves, by the type of the signature.
_CANVAS = {'chain': ('tasks',), 'group': ('tasks',), 'chord': ('header', 'body')}
# The fields of a message that hold other tasks.
_EMBEDDED = ('chord', 'chain', 'callbacks', 'errbacks')
_WRAPPING = '"([\' '
# The fields of a signature that say how it belongs to others.
_BINDING = frozenset(
    (
        *('task', 'subtask_type', 'options', 'kwargs'),
        *('task_id', 'group_id', 'chord', 'chain', 'link', 'link_error'),
        *(name for names in _CANVAS.values() for name in names),
    )
)


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


def bare(task: TrackedTask) -> TrackedTask:
    """Take away the arguments and options that say nothing about the relations of a task.

    :param task: a task with its options, and with its arguments if it is a ``celery.chord_unlock``.

    >>> following = {'task': 'export.archive', 'args': [7], 'options': {'task_id': '2', 'priority': 3}}
    >>> bare(TrackedTask('1', 'SUCCESS', options={'chain': [following], 'lang': 'py'})).options
    {'chain': [{'task': 'export.archive', 'options': {'task_id': '2'}}]}
    """
    options = task.options
    if isinstance(options, dict):
        options = {name: _bare(options[name]) for name in (*_EMBEDDED, 'ignore_result') if name in options}
    kwargs = task.kwargs
    if isinstance(kwargs, dict):
        kwargs = {'result': _bare(kwargs.get('result'))}
    return replace(task, args=_bare(task.args), kwargs=kwargs, options=options)


def _bare(nested: Any) -> Any:
    # A loop, as in `mentioned`.
    found: dict[Any, Any] = {}
    todo: list[tuple[Any, Any, Any]] = [(nested, found, None)]
    while todo:
        item, target, key = todo.pop()
        if isinstance(item, list):
            target[key] = copy = [None] * len(item)
            todo += [(inner, copy, number) for number, inner in enumerate(item)]
        elif isinstance(item, dict):
            target[key] = kept = {name: value for name, value in item.items() if name in _BINDING}
            if 'task' in kept and kept.get('subtask_type') not in _CANVAS:
                kept.pop('kwargs', None)
            todo += [(inner, kept, name) for name, inner in kept.items()]
        else:
            target[key] = item
    return found[None]


def embedded_names(task: TrackedTask) -> Iterator[tuple[str, str]]:
    """List the tasks that a message has in it and that Celery sends later: steps of a chain, and bodies of chords.

    :param task: the task of the message.
    :returns: their ids and names.

    >>> following = {'task': 'export.archive', 'options': {'task_id': '2'}}
    >>> list(embedded_names(TrackedTask('1', 'SUCCESS', options={'chain': [following]})))
    [('2', 'export.archive')]
    """
    options = task.options if isinstance(task.options, dict) else {}
    chain, body = options.get('chain'), options.get('chord')
    signatures = [*(chain if isinstance(chain, list) else []), body]
    if task.name == CHORD_UNLOCK and isinstance(task.args, list):
        signatures += task.args
    for signature in map(_last, signatures):
        task_id, name = _option(signature, 'task_id'), _name(signature)
        if task_id is not None and name is not None:
            yield task_id, name


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
    yield from mentioned(embedded)


def mentioned(embedded: Any) -> Iterator[tuple[str, str]]:
    """List the tasks and groups of signatures, and of the signatures in them.

    :param embedded: signatures in lists, as a message has them.
    :returns: names of columns, and the values that they have in the rows of these tasks.
    """
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


def _name(signature: Any) -> str | None:
    kwargs = signature.get('kwargs') if isinstance(signature, dict) else None
    tasks = kwargs.get('tasks') if isinstance(kwargs, dict) else None
    if isinstance(tasks, list) and signature.get('subtask_type') == 'chain':
        # The id of a chain is that of its last task.
        signature = (tasks or [None])[-1]
    name = signature.get('task') if isinstance(signature, dict) else None
    return name if isinstance(name, str) else None


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
