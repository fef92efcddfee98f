"""Arrange the tasks of a workflow in a tree, and tell its overall state."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile

from celery import states

from .relations import Join, embedded_names, join_of, steps
from .task import TrackedTask

#: The state in a tree of a task that was never sent, because one before it failed.
UNSENT = 'UNSENT'

_Parents = dict[str, str | None]


@dataclass
class Node:
    """A task in the tree of its workflow.

    :param task: the task. A task that was never sent has the name that the message of the task before has.
    :param state: its state. The workflow may tell more about it than the row: Celery stores no result of a
        ``celery.chord_unlock``, which is done when it has sent the body. It is ``IGNORED`` where no worker stores a
        result, and ``UNSENT`` where a task was never sent.
    :param children: the tasks that it sent, in the order first seen. A ``celery.chord_unlock`` has the tasks of the
        chord's header, then the body that it sent.
    :param note: why it is ``UNSENT``.

    >>> Node(TrackedTask('1', 'SUCCESS'), 'SUCCESS').children
    []
    """

    task: TrackedTask
    state: str
    children: 'list[Node]' = field(default_factory=list)
    note: str | None = None


def tree(tasks: Iterable[TrackedTask]) -> list[Node]:
    """Draw up the tree of a workflow.

    Each task is below the one that sent it. Where that one is not among the tasks, it is below the one that began the
    workflow.

    :param tasks: the tasks, as `TrackedTasks.workflow` gives them, or any others.
    :returns: the roots: one, or the members of a group that nothing joins. Each task occurs once.

    >>> root, = tree([TrackedTask('1', 'SUCCESS'), TrackedTask('2', 'PENDING', parent_id='1')])
    >>> root.task.task_id, [child.task.task_id for child in root.children]
    ('1', ['2'])
    """
    ordered = sorted(tasks, key=lambda task: (task.first_seen is None, task.first_seen, task.task_id))
    known = {task.task_id: task for task in ordered}
    joins = _joins(known)
    parents = _parents(known, joins)
    _cut_circles(parents)
    headers: set[str] = set()
    for task_id, join in joins.items():
        headers |= _join_header(known, parents, task_id, join)
    nodes = {task_id: Node(known[task_id], state) for task_id, state in _states(known, joins).items()}
    _explain(nodes, {join.body_id for join in joins.values()})
    # The header of a chord comes before its body.
    for task_id in sorted(known, key=lambda task_id: task_id not in headers):
        parent = parents[task_id]
        if parent is not None:
            nodes[parent].children.append(nodes[task_id])
    return [nodes[task_id] for task_id, parent in parents.items() if parent is None]


def walk(roots: Iterable[Node]) -> Iterator[Node]:
    """Give all tasks of a tree, from the top down.

    >>> roots = tree([TrackedTask('1', 'SUCCESS'), TrackedTask('2', 'PENDING', parent_id='1')])
    >>> [node.task.task_id for node in walk(roots)]
    ['1', '2']
    """
    # This loop replaces a recursion: a chain of a thousand tasks is a thousand levels deep.
    todo = list(roots)[::-1]
    while todo:
        node = todo.pop()
        yield node
        todo += node.children[::-1]


def narrowed(roots: Iterable[Node], keep: Callable[[Node], bool]) -> list[Node]:
    """Narrow a tree down to some of its tasks, and to those above them.

    :param roots: the tree.
    :param keep: tells whether a task is one of them.

    >>> roots = tree([TrackedTask(name, 'SUCCESS', parent_id=name[:-1]) for name in ('a', 'aa', 'ab', 'aba')])
    >>> [node.task.task_id for node in walk(narrowed(roots, lambda node: node.task.task_id == 'ab'))]
    ['a', 'ab']
    """
    roots = list(roots)
    kept: dict[str, Node] = {}
    # From the bottom up: the tasks below a task come before it.
    for node in [*walk(roots)][::-1]:
        children = [kept[child.task.task_id] for child in node.children if child.task.task_id in kept]
        if children or keep(node):
            kept[node.task.task_id] = replace(node, children=children)
    return [kept[node.task.task_id] for node in roots if node.task.task_id in kept]


def overall(tasks: Iterable[TrackedTask]) -> str:
    """Tell the overall state of a workflow.

    Tasks whose results no worker stores do not count: Celery's own, and those that ignore their results, while they are
    ``PENDING``.

    :param tasks: all tasks of the workflow.
    :returns: ``FAILURE`` if any failed; else ``REVOKED`` if any was revoked, for then it will never be complete;
        ``SUCCESS`` if all succeeded, and chains and chords have nothing left to send; ``PENDING`` if none has begun;
        else ``STARTED``.

    >>> overall([TrackedTask('1', 'SUCCESS'), TrackedTask('2', 'PENDING')])
    'STARTED'
    """
    known = {task.task_id: task for task in tasks}
    found = {states.FAILURE if state == UNSENT else state for state in _states(known, _joins(known)).values()}
    found.discard(states.IGNORED)
    if any(step not in known for task in known.values() for step in steps(task)[:1]):
        found.add(states.PENDING)
    state: str
    for state in (states.FAILURE, states.REVOKED):
        if state in found:
            return state
    if found <= {states.PENDING}:
        state = states.PENDING
    else:
        state = states.SUCCESS if found == {states.SUCCESS} else states.STARTED
    return state


def _joins(known: Mapping[str, TrackedTask]) -> dict[str, Join]:
    return {task_id: join for task_id, task in known.items() if (join := join_of(task)) is not None}


def _states(known: Mapping[str, TrackedTask], joins: Mapping[str, Join]) -> dict[str, str]:
    senders = {task.parent_id for task in known.values() if task.parent_id != task.task_id}
    unsent = _unsent(known, joins)
    found = {}
    for task_id, task in known.items():
        state = task.status
        if task_id in unsent:
            state = UNSENT
        elif state == states.PENDING and task_id in joins:
            if joins[task_id].body_id in known or task_id in senders:
                state = states.SUCCESS
        elif state == states.PENDING and not _keeps_result(task):
            state = states.IGNORED
        found[task_id] = state
    return found


def _unsent(known: Mapping[str, TrackedTask], joins: Mapping[str, Join]) -> set[str]:
    # For the later steps of a chain and the body of a chord, Celery stores that they failed, too. A worker of this
    # package adds that they have run 0 times.
    failed = [task for task in known.values() if task.status in (states.FAILURE, states.REVOKED)]
    named = {step for task in failed for step in steps(task)} | {join.body_id for join in joins.values()}
    return {
        task.task_id
        for task in failed
        if task.status == states.FAILURE
        and task.first_seen is None
        and (task.runs == 0 or (task.runs is None and task.task_id in named))
    }


def _explain(nodes: Mapping[str, Node], bodies: Iterable[str | None]) -> None:
    names = dict(pair for node in nodes.values() for pair in embedded_names(node.task))
    for task_id, node in nodes.items():
        if node.state == UNSENT:
            node.task = replace(node.task, name=names.get(task_id))
            before = 'the step before' if task_id in names else 'a task before it'
            node.note = f'not sent: {"a task of the header" if task_id in bodies else before} failed'


def _keeps_result(task: TrackedTask) -> bool:
    ignores = isinstance(task.options, dict) and task.options.get('ignore_result') is True
    return not (ignores or (task.name or '').startswith('celery.'))


def _parents(known: Mapping[str, TrackedTask], joins: Mapping[str, Join]) -> _Parents:
    # A task that failed before it was sent has no row that names its parent. But the message of the task that should
    # have sent it names its id.
    senders = {step: task_id for task_id, task in known.items() for step in steps(task)}
    senders |= {step: task_id for task_id, task in known.items() for step in steps(task)[:1]}
    senders |= {join.body_id: task_id for task_id, join in joins.items() if join.body_id}
    parents: _Parents = {}
    for task_id, task in known.items():
        # After a retry, a task that no other task sent names itself as its parent.
        candidates = (task.parent_id, senders.get(task_id), task.root_id)
        parents[task_id] = next((other for other in candidates if other in known and other != task_id), None)
    return parents


def _cut_circles(parents: _Parents) -> None:
    seen: set[str] = set()
    for start in parents:
        path: set[str] = set()
        task_id: str | None = start
        while task_id is not None and task_id not in seen:
            seen.add(task_id)
            path.add(task_id)
            parent = parents[task_id]
            if parent in path:
                parents[task_id] = None
                break
            task_id = parent


def _join_header(known: Mapping[str, TrackedTask], parents: _Parents, task_id: str, join: Join) -> set[str]:
    members = [
        other
        for other, task in known.items()
        if other != join.body_id
        and (other in join.header or (task.group_id is not None and task.group_id == join.group_id))
    ]
    above = set(_upwards(parents, task_id))
    seen = set(above)
    tops: set[str] = set()
    for member in members:
        path = list(takewhile(lambda other: other not in seen, _upwards(parents, member)))
        seen.update(path)
        if path and (parents[path[-1]] is None or parents[path[-1]] in above - {task_id}):
            tops.add(path[-1])
    for top in tops:
        parents[top] = task_id
    return tops


def _upwards(parents: _Parents, task_id: str | None) -> Iterable[str]:
    while task_id is not None:
        yield task_id
        task_id = parents[task_id]
