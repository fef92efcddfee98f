"""Trees of tasks: none is lost and none is doubled, whatever the rows say of each other."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadasta.workertoolbox.tracked import Node, TrackedTask, overall, tree
from cadasta.workertoolbox.tracked.relations import bare, embedded_names, join_of, relatives, steps
from cadasta.workertoolbox.tracked.tree import narrowed, walk

from .rows import minutes

UNLOCK = 'celery.chord_unlock'


def signature(task_id: Any, kind: str | None = None, **kwargs: Any) -> dict[str, Any]:
    return {'task': 'a.b', 'options': {'task_id': task_id}, 'subtask_type': kind, 'kwargs': kwargs}


def task(task_id: str, status: str = 'SUCCESS', minute: float | None = 0, **values: Any) -> TrackedTask:
    return TrackedTask(task_id, status, first_seen=None if minute is None else minutes(minute), **values)


def unlock(task_id: str, group_id: str, body: str | None = None, **values: Any) -> TrackedTask:
    return task(task_id, 'PENDING', name=UNLOCK, args=[group_id, signature(body)], group_id=None, **values)


def drawn(nodes: list[Node]) -> str:
    return ' '.join(node.task.task_id + (f'({drawn(node.children)})' if node.children else '') for node in nodes)


def test_order_is_that_of_first_seen() -> None:
    assert (
        drawn(
            tree(
                [
                    task('d', parent_id='a', minute=None),
                    task('c', parent_id='a', minute=1),
                    task('b', parent_id='a', minute=2),
                    task('a', minute=3),
                ]
            )
        )
        == 'a(c b d)'
    )


def test_parents_that_are_not_there() -> None:
    assert drawn(tree([task('a', parent_id='x', root_id='y'), task('b', parent_id='x', root_id='a')])) == 'a(b)'


def test_parents_in_a_circle() -> None:
    nodes = tree(
        [task('a', parent_id='b'), task('b', parent_id='c'), task('c', parent_id='b'), task('d', parent_id='d')]
    )
    assert sorted(Counter(everything(nodes)).items()) == [(name, 1) for name in 'abcd']


def test_a_chord_whose_unlock_was_retried_has_no_sender() -> None:
    assert (
        drawn(
            tree(
                [
                    unlock('u', 'g', 'z', parent_id='u', root_id='u'),
                    task('a'),
                    task('h', parent_id='a', group_id='g'),
                    task('z', parent_id='u', root_id='u', group_id='g'),
                ]
            )
        )
        == 'u(a(h) z)'
    )


def test_a_body_comes_last_even_if_the_monitor_sees_all_at_once() -> None:
    assert (
        drawn(
            tree(
                [
                    task('a', parent_id='u', root_id='u', group_id='g'),
                    unlock('u', 'g', 'a', root_id='u'),
                    task('h', group_id='g'),
                ]
            )
        )
        == 'u(h a)'
    )


def test_a_header_that_stands_above_its_own_unlock_stays_there() -> None:
    assert drawn(tree([task('a', group_id='g'), unlock('u', 'g', parent_id='a')])) == 'a(u)'


def test_a_chain_longer_than_python_recurses() -> None:
    nodes = tree(task(f'{number:05}', parent_id=f'{number - 1:05}', root_id='00000') for number in range(10_000))
    assert len(everything(nodes)) == 10_000


@pytest.mark.parametrize(
    ('expected', 'tasks'),
    [
        ('PENDING', []),
        ('SUCCESS', [task('a')]),
        ('PENDING', [task('a', 'PENDING')]),
        ('STARTED', [task('a'), task('b', 'PENDING')]),
        ('STARTED', [task('a', 'RETRY')]),
        ('STARTED', [task('a', 'PROGRESS')]),
        ('FAILURE', [task('a'), task('b', 'FAILURE'), task('c', 'PENDING'), task('d', 'REVOKED')]),
        ('REVOKED', [task('a'), task('d', 'REVOKED'), task('c', 'PENDING')]),
        # Nobody stores a result of some.
        ('SUCCESS', [task('a'), task('b', 'PENDING', options={'ignore_result': True})]),
        ('SUCCESS', [task('a'), task('b', 'PENDING', name='celery.backend_cleanup')]),
        ('PENDING', [task('b', 'PENDING', options={'ignore_result': True})]),
        # A chord is not done before its body is.
        ('STARTED', [task('a'), unlock('u', 'g', 'b')]),
        ('STARTED', [task('a'), unlock('u', 'g', 'b'), task('b', 'PENDING')]),
        ('SUCCESS', [task('a'), unlock('u', 'g', 'b'), task('b')]),
        ('SUCCESS', [task('a'), unlock('u', 'g'), task('b', parent_id='u')]),
        ('STARTED', [task('a'), unlock('u', 'g', parent_id='u')]),
        ('FAILURE', [task('a'), unlock('u', 'g', 'b'), task('b', 'FAILURE', None)]),
        # Nor is a chain before its last task is.
        ('STARTED', [task('a', options={'chain': [signature('b')]})]),
        ('SUCCESS', [task('a', options={'chain': [signature('b')]}), task('b')]),
        ('SUCCESS', [task('a', options={'chain': [signature('g', 'group', tasks=[])]})]),
    ],
)
def test_overall(expected: str, tasks: list[TrackedTask]) -> None:
    assert overall(tasks) == expected


def unsent(nodes: list[Node]) -> dict[str, tuple[str | None, str | None]]:
    return {node.task.task_id: (node.task.name, node.note) for node in walk(nodes) if node.state == 'UNSENT'}


def test_what_was_never_sent() -> None:
    chain = {'chain': [signature('d'), signature('c')]}
    not_run = {'minute': None, 'runs': 0}
    tasks = [task('b', 'FAILURE', options=chain), task('c', 'FAILURE', **not_run), task('d', 'FAILURE', **not_run)]
    step = ('a.b', 'not sent: the step before failed')
    assert unsent(tree(tasks)) == {'c': step, 'd': step}
    assert overall(tasks) == 'FAILURE'
    # Celery's own backend does not say that it has not run.
    assert unsent(tree([tasks[0], task('c', 'FAILURE', None)])) == {'c': step}
    assert unsent(tree([task('b', options=chain), task('c', 'FAILURE', None)])) == {}
    body = signature('z', 'chain', tasks=[signature('y'), {**signature('z'), 'task': 'last'}])
    watch = task('u', 'PENDING', name=UNLOCK, args=['g', body])
    nodes = tree([watch, task('h', 'FAILURE', group_id='g'), task('z', 'FAILURE', None)])
    assert unsent(nodes) == {'z': ('last', 'not sent: a task of the header failed')}
    assert next((node.task.task_id, node.state) for node in walk(nodes)) == ('u', 'SUCCESS')
    assert drawn(nodes) == 'u(h z)'
    # It was sent, and refused before it ran.
    assert unsent(tree([task('a', 'FAILURE', runs=0)])) == {}
    # Without arguments, nothing has its name.
    assert unsent(tree([task('x', 'FAILURE', **not_run)])) == {'x': (None, 'not sent: a task before it failed')}


def test_a_step_that_was_never_sent_is_below_the_step_before() -> None:
    nodes = tree(
        [
            # The monitor saw the first step last.
            task('a', minute=2, options={'chain': [signature('c'), signature('b')]}),
            task('b', 'FAILURE', 1, parent_id='a', options={'chain': [signature('c')]}),
            task('c', 'FAILURE', None, runs=0),
        ]
    )
    assert drawn(nodes) == 'a(b(c))'


def test_narrowed_to_some() -> None:
    nodes = tree(
        [*(task(name, parent_id=name[:-1] or None) for name in ('a', 'aa', 'ab', 'aba', 'abb', 'abbb')), task('c')]
    )
    assert drawn(narrowed(nodes, lambda node: node.task.task_id in ('ab', 'abbb'))) == 'a(ab(abb(abbb)))'
    assert drawn(narrowed(nodes, lambda node: node.task.task_id == 'c')) == 'c'
    assert narrowed(nodes, lambda node: False) == []


def test_steps_of_a_chain() -> None:
    chord = signature('g', 'chord', header=[], body=signature('c'))
    assert steps(task('a', options={'chain': [signature('d'), chord, signature('b')]})) == ['b', 'c', 'd']
    chains: tuple[Any, ...] = (None, 'x', ['x'], [{}], [signature(7)], [{'subtask_type': 'chord'}], [{'options': 'x'}])
    for chain in chains:
        assert steps(task('a', options={'chain': chain})) == []
    assert steps(task('a')) == []


def test_names_that_a_message_embeds() -> None:
    steps = [
        signature('c'),
        signature(None),
        {**signature('d'), 'task': 7},
        {**signature('e'), 'task': None},
        signature('f', 'chain', tasks=[]),
    ]
    assert list(embedded_names(task('a', options={'chain': steps, 'chord': signature('b')}))) == [
        ('c', 'a.b'),
        ('b', 'a.b'),
    ]


def test_relatives_of_an_unlock() -> None:
    found = set(relatives(unlock('u', 'g', 'b', kwargs={'result': [['h', None]]})))
    assert found == {
        ('root_id', 'u'),
        *(('group_id', name) for name in ('g', 'h')),
        *(('task_id', name) for name in ('u', 'h', 'b')),
    }


def test_what_says_nothing_of_relatives_is_taken_away() -> None:
    step = {**signature('b', large='x'), 'args': ['x']}
    header = signature('c', 'chord', header=[step], body=step, large='x')
    kept = {'task': 'a.b', 'options': {'task_id': 'b'}, 'subtask_type': None}
    assert bare(task('a', options={'chain': [step], 'chord': header, 'lang': 'py'})).options == {
        'chain': [kept],
        'chord': {**header, 'kwargs': {'header': [kept], 'body': kept}},
    }


def test_relatives_by_what_a_message_embeds() -> None:
    group = signature('group', 'group', tasks=[signature('of-group')])
    last = {**signature('last'), 'options': {'task_id': 'last', 'group_id': 'of-last', 'link': [signature('linked')]}}
    found = set(
        relatives(
            task(
                'a',
                root_id='r',
                parent_id='p',
                group_id='g',
                options={
                    'chain': [last, group],
                    'chord': signature('c', 'chord', header=[signature('h')], body=signature('b')),
                    'callbacks': [signature('callback')],
                    'errbacks': [{**signature('errback'), 'kwargs': None}],
                    'other': [signature('other')],
                },
            )
        )
    )
    assert found == {
        ('root_id', 'r'),
        ('group_id', 'g'),
        ('group_id', 'group'),
        ('group_id', 'of-last'),
        *(('task_id', name) for name in ('a', 'p', 'last', 'linked', 'of-group', 'c', 'h', 'b', 'callback', 'errback')),
    }


@pytest.mark.parametrize(
    ('args', 'kwargs', 'expected'),
    [
        (['g', signature('b')], {'result': [[['h', ['p', None]], [[['i', None], None]]]]}, ('g', {'h', 'p', 'i'}, 'b')),
        ("('g', {'task': 'a.b'})", '{}', ('g', set(), None)),
        (None, None, (None, set(), None)),
        ([7], {'result': 7}, (None, set(), None)),
        (['g'], {}, ('g', set(), None)),
        ('', None, (None, set(), None)),
        ({'a': 1}, [], (None, set(), None)),
    ],
)
def test_joins(args: Any, kwargs: Any, expected: tuple[Any, ...]) -> None:
    join = join_of(task('u', name=UNLOCK, args=args, kwargs=kwargs))
    assert join is not None
    assert tuple(join) == expected
    assert join_of(task('u', args=args, kwargs=kwargs)) is None


IDS = st.sampled_from('abcdefgh')
MAYBE = st.none() | IDS
NESTED = st.recursive(
    st.none() | st.integers() | IDS | st.builds(signature, IDS, st.sampled_from([None, 'chain', 'group', 'chord'])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {
                'task': IDS,
                'options': inner,
                'kwargs': st.fixed_dictionaries({'tasks': inner, 'body': inner}),
                'subtask_type': st.sampled_from([None, 'chain', 'group', 'chord']),
            }
        )
    ),
    max_leaves=6,
)
TASKS = st.builds(
    task,
    IDS,
    st.sampled_from(['PENDING', 'STARTED', 'SUCCESS', 'FAILURE']),
    st.none() | st.integers(0, 3),
    name=st.sampled_from([None, 'a.b', UNLOCK]),
    parent_id=MAYBE,
    root_id=MAYBE,
    group_id=MAYBE,
    args=NESTED | st.builds(lambda group, body: [group, body], IDS, NESTED),
    kwargs=st.fixed_dictionaries({'result': NESTED}) | NESTED,
    options=st.none() | st.fixed_dictionaries({'chain': NESTED, 'chord': NESTED}),
)


def everything(nodes: list[Node]) -> list[str]:
    found, stack = [], list(nodes)
    while stack:
        node = stack.pop()
        found.append(node.task.task_id)
        stack += node.children
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(TASKS, max_size=8, unique_by=lambda row: row.task_id))
def test_each_task_occurs_once_whatever_the_rows_say(tasks: list[TrackedTask]) -> None:
    assert sorted(everything(tree(tasks))) == sorted(row.task_id for row in tasks)
    assert overall(tasks) in ('PENDING', 'STARTED', 'SUCCESS', 'FAILURE')
    for row in tasks:
        assert all(isinstance(value, str) for _, value in relatives(row))
        # A part that the structure leaves out says nothing.
        for reader in (relatives, steps, join_of, embedded_names):
            read, left = reader(row), reader(bare(row))
            assert (read, left) == (join_of(row),) * 2 if reader is join_of else list(read) == list(left)
    assert drawn(tree(map(bare, tasks))) == drawn(tree(tasks))
