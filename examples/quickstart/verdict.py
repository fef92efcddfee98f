"""Compares what became of the example's workflows with what the quickstart expects."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from celery import states

from cadasta.workertoolbox.tracked import TrackedTask

from .observation import Tracked

#: The titles of the workflows that `producer.py` schedules, by the names that it gives them.
TITLES = {
    'task': 'A task',
    'chain': 'A chain',
    'chord': "A chord, with its body in another service's queue",
    'errback': 'A task that fails, with an errback in another codebase',
    'followups': 'A task that hands its followups on to the last step of a chord',
}
#: How often each task runs in a workflow. Celery's own tasks are not counted.
EXPECTED = {
    'task': {'export.parcels': 1},
    'chain': {'export.parcels': 1, 'export.table': 1},
    'chord': {'export.map': 3, 'msg.send': 1},
    'errback': {'export.boundary': 1, 'msg.alarm': 1},
    'followups': {'export.everything': 1, 'export.map': 2, 'export.archive': 1, 'msg.send': 1},
}
#: The tasks that are there to fail.
FAILING = {'export.boundary'}
#: The tasks of the workflow that is broken and mended, in their order.
FLIGHT = ('export.parcels', 'export.film', 'msg.send')


class Mended(NamedTuple):
    """What was seen of a task whose worker was killed.

    :param task_id: its id
    :param lost: the exit code and the output of `toolbox lost`, when nobody vouched for the task any more
    :param listed: the page of what is lost, at that time; `None` where there is no page
    :param resent: the exit code and the output of `toolbox resend`
    :param tasks: the tasks of its workflow in the end
    :param lost_after: the exit code and the output of `toolbox lost` in the end
    """

    task_id: str
    lost: tuple[int, str]
    listed: str | None
    resent: tuple[int, str]
    tasks: Sequence[TrackedTask]
    lost_after: tuple[int, str]


def is_complete(workflow: str, tasks: Sequence[Tracked]) -> bool:
    """Whether all tasks of a workflow are known and have a final state."""
    own = [task for task in tasks if task.keeps_result]
    return Counter(task.name for task in own) == EXPECTED[workflow] and all(task.is_done for task in own)


def problems(workflows: Mapping[str, Sequence[Tracked]], others: Iterable[Tracked]) -> Iterator[str]:
    """Say what is not as it must be.

    :param workflows: the tasks of each workflow, by its name
    :param others: tasks that belong to no workflow
    :returns: a line for each thing
    """
    for workflow, tasks in workflows.items():
        expected, found = Counter(EXPECTED[workflow]), Counter(task.name for task in tasks if task.keeps_result)
        for name in sorted(expected | found):
            if found[name] != expected[name]:
                yield f'{TITLES[workflow]}: {found[name]} instead of {expected[name]} tasks {name}'
        for task in tasks:
            yield from _problems_of(task)
    for task in others:
        yield f'{task.name} {task.id}: belongs to none of the workflows'
        yield from _problems_of(task)


def not_mended(mended: Mended) -> Iterator[str]:
    """Say what is not as it must be after a worker was killed.

    :returns: a line for each thing
    """
    if mended.lost[0] != 1 or mended.task_id not in mended.lost[1]:
        yield f'`toolbox lost` did not show {mended.task_id}, and ended with {mended.lost[0]}'
    if mended.listed is not None and mended.task_id not in mended.listed:
        yield f'the page did not list {mended.task_id} as lost'
    if mended.resent[0] or mended.task_id not in mended.resent[1]:
        yield f'`toolbox resend` did not send {mended.task_id}, and ended with {mended.resent[0]}'
    found = {task.name: task for task in mended.tasks}
    for name in FLIGHT:
        state = found[name].status if name in found else 'not sent'
        if state != states.SUCCESS:
            yield f'{name}: {state} in the end'
        # What is lost has been started, and what was sent again is started once more.
        runs, expected = (found[name].runs or 0 if name in found else 0), 1 + (name == 'export.film')
        if runs != expected:
            yield f'{name}: started {runs} times instead of {expected}'
    if mended.lost_after[0]:
        yield f'`toolbox lost` ended with {mended.lost_after[0]} in the end'


def _problems_of(task: Tracked) -> Iterator[str]:
    label = f'{task.name} {task.id}'
    received = task.on_work_queues.total()
    if not task.is_tracked:
        yield f'{label}: not tracked, no message of it reached the platform queue'
    if not received:
        yield f'{label}: no message of it was received from a work queue'
    # Celery sends the task that unlocks a chord again and again, until the chord's header is done.
    if received > 1 and task.keeps_result:
        yield f'{label}: {received} messages were received from work queues'
    if not task.keeps_result:
        return
    if not task.is_done:
        yield f'{label}: no result is stored, the state is {task.state}'
    elif (task.state == states.FAILURE) != (task.name in FAILING):
        yield f'{label}: {task.state}, {task.result}'
