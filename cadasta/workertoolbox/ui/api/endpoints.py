"""The endpoints: for each page, where its rows are as data, what they have, and how they are found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from flask import abort, current_app, request, url_for

from ...tracked.counts import Count
from ...tracked.documents import document
from ...tracked.extent import BRIEF, LARGE, Extent
from ...tracked.failures import Failure
from ...tracked.portions import portions
from ...tracked.query import TrackedTasks
from ...tracked.readings import Readings
from ...tracked.stats import TaskStats
from ...tracked.task import TrackedTask
from ...tracked.workers import ReportedWorker
from .. import arguments, failing, filters
from ..overview import Overview, Queue, overview
from ..views import TASKS, WORKFLOW, tracked_tasks
from ..windows import WINDOWS, Window
from ..workflow import DrawnTask, workflow
from .answers import DEFAULT, FORMATS, Found
from .fields import Field
from .schemas import told

#: The most tasks in an answer.
MOST = 1_000
#: The most characters of each argument, result and traceback in an answer.
LONGEST = 2 * 2**20

#: The keys of a document, each with the type of its value.
Keys = Mapping[str, Any]

_NEXT = Annotated[str | None, 'The address of the next rows; null where these are the last.']
_ERROR = Annotated[str | None, 'The class of the exception that it raised last.']
_FORMAT = {'format': Field('The format of the answer.', values=tuple(FORMATS), default=DEFAULT)}
_AGE = Field('', '^([0-9]{1,5}[smhd]|[0-9]{1,4}w|[0-9]{1,3}y)$', '30s, 15m, 2h, 3d, 1w or 1y')
_IN_WINDOW = {'window': Field('The stretch of time, which ends now.', values=tuple(WINDOWS), default='day'), **_FORMAT}
_WINDOW: Keys = {
    'window': Annotated[str, 'The stretch of time.'],
    'since': Annotated[datetime, 'When it begins.'],
}
_FILTERS = {
    **{
        name: (_AGE if name in filters.AGES else Field(''))._replace(text=text) for name, text in filters.FIELDS.items()
    },
    'before': Field(
        'The place after which the list begins, as `next` has it.', filters.PLACE.pattern, '1795359845000000,ID'
    ),
    'limit': Field('The most tasks in the answer.', most=MOST, default=TASKS),
    **_FORMAT,
}


class Endpoint(NamedTuple):
    """An endpoint.

    :param page: the page that shows the same, by the name of its function.
    :param rule: its address, after that of the API, as Flask writes it.
    :param summary: what it lists.
    :param fields: the fields of its query.
    :param row: the name of its rows.
    :param keys: gives the keys of a row, for somebody who may see arguments or not.
    :param find: finds the rows. It gets the query and the values in the address.
    :param key: the key of the rows in the document; `None` where the one row is the document.
    :param around: the other keys of the document.
    """

    page: str
    rule: str
    summary: str
    fields: Mapping[str, Field]
    row: str
    keys: Callable[[bool], Keys]
    find: Callable[..., Found]
    key: str | None
    around: Keys


def _now(asked: Mapping[str, str]) -> Found:
    with Readings(current_app.config['DATABASE']) as readings:
        found = overview(readings)
    row = {name: getattr(found, name) for name in told(Overview)}
    row['silent'] = [document(worker, arguments.are_shown()) for worker in found.silent]
    row['failures'] = [document(failure, arguments.are_shown()) for failure in found.failures]
    row['queues'] = [{name: getattr(queue, name) for name in told(Queue)} for queue in found.queues]
    row['scheduled'], row['failed'] = found.scheduled.numbers, found.failed.numbers
    return Found([row], {})


def _keys_of_now(shows: bool) -> Keys:
    return {
        **told(Overview),
        'silent': Annotated[Sequence[Any], 'The workers that are silent.', told(ReportedWorker, shows)],
        'failures': Annotated[Sequence[Any], 'The most frequent failures of the last hour.', told(Failure, shows)],
        'queues': Annotated[Sequence[Any], 'The queues with most tasks in the last hour.', told(Queue)],
        'scheduled': Annotated[list[int], 'The tasks of the last hour, minute by minute.'],
        'failed': Annotated[list[int], 'Those of them that failed.'],
    }


def _tasks(asked: Mapping[str, str]) -> Found:
    limit = int(asked.get('limit', TASKS))
    before = filters.read_cursor(asked)
    found: list[TrackedTask] = []
    with tracked_tasks() as database:
        for where in filters.to_filters(filters.read(asked)):
            found = found or database.page(where, limit + 1, before, BRIEF)
        shown = found[:limit]
        errors = _errors(database, shown)
    place = filters.write_cursor(shown[-1].cursor) if len(found) > limit else None
    rows = ({**document(task, False), 'error': errors.get(task.task_id)} for task in shown)
    return Found(rows, {'next': place and _following(asked, before=place)})


def _errors(database: TrackedTasks, tasks: Sequence[TrackedTask]) -> dict[str, str]:
    # Each error is read with its message, which may be long.
    return {
        task_id: error.kind
        for some in portions(list(tasks), TASKS)
        for task_id, error in failing.errors(database, some).items()
    }


def _task(asked: Mapping[str, str], task_id: str) -> Found:
    shows = arguments.are_shown()
    with tracked_tasks() as database:
        task = database.get(task_id, Extent(LARGE, LONGEST) if shows else BRIEF)
        if task is None:
            abort(404, f'There is neither a task nor a result with the id {task_id!r}.')
        errors = _errors(database, [task])
    cut = [name for name in LARGE if getattr(getattr(task, name), 'more', 0)]
    return Found([{**document(task, shows), 'error': errors.get(task_id), 'cut': cut}], {})


def _workflow(asked: Mapping[str, str], task_id: str) -> Found:
    with tracked_tasks() as database:
        related = database.workflow(task_id, WORKFLOW, whole=False)
    if not related:
        abort(404, f'There is neither a task nor a result with the id {task_id!r}, and none that mentions it.')
    drawn = workflow(related, int(asked.get('first', 1)))
    following = _following(asked, task_id=task_id, first=drawn.last + 1) if drawn.last < drawn.total else None
    around = {'state': drawn.state, 'total': drawn.total, 'first': drawn.first, 'next': following}
    return Found(map(_drawn, drawn.rows), around)


def _drawn(row: DrawnTask) -> dict[str, Any]:
    return {**document(row.task, False), 'state': row.state, 'note': row.note, 'depth': row.depth}


def _following(asked: Mapping[str, str], **others: Any) -> str:
    return url_for(str(request.endpoint), **{**asked, **others})


def _failures(asked: Mapping[str, str]) -> Found:
    return _listed(asked, lambda database, window: database.failures(window.since))


def _names(asked: Mapping[str, str]) -> Found:
    return _listed(asked, lambda database, window: database.stats(window.since))


def _workers(asked: Mapping[str, str]) -> Found:
    return _listed(asked, lambda database, window: database.workers(window.since))


def _listed(
    asked: Mapping[str, str],
    read: Callable[[TrackedTasks, Window], Sequence[Failure] | Sequence[TaskStats] | Sequence[ReportedWorker]],
) -> Found:
    window = _window(asked)
    with tracked_tasks() as database:
        found = read(database, window)
    return Found(_documents(found), {'window': window.name, 'since': window.since})


def _counts(asked: Mapping[str, str]) -> Found:
    window = _window(asked)
    since = window.first_bar
    with tracked_tasks() as database:
        found = database.counts(since, window.bucket)
    around = {'window': window.name, 'since': since, 'bar': int(window.bucket.total_seconds())}
    return Found(_documents(found), around)


def _window(asked: Mapping[str, str]) -> Window:
    return WINDOWS[asked.get('window', 'day')]


def _documents(
    rows: Sequence[Failure] | Sequence[TaskStats] | Sequence[ReportedWorker] | Sequence[Count],
) -> Iterator[dict[str, Any]]:
    shows = arguments.are_shown()
    return (document(row, shows) for row in rows)


#: All endpoints, by name.
ENDPOINTS = {
    'now': Endpoint('now', '/now', 'What is to be known now.', _FORMAT, 'Now', _keys_of_now, _now, None, {}),
    'tasks': Endpoint(
        'tasks',
        '/tasks',
        'Tasks, newest first. Results whose task is not stored come last.',
        _FILTERS,
        'Task',
        lambda _: {**told(TrackedTask, False), 'error': _ERROR},
        _tasks,
        'tasks',
        {'next': _NEXT},
    ),
    'task': Endpoint(
        'task',
        '/tasks/<id:task_id>',
        'A task. Where arguments are shown, it has them, and its result.',
        _FORMAT,
        'TaskInFull',
        lambda shows: {
            **told(TrackedTask, shows),
            'error': _ERROR,
            'cut': Annotated[
                list[str], f'The keys of values of more than {LONGEST:,} characters: the beginning is here, as text.'
            ],
        },
        _task,
        None,
        {},
    ),
    'workflow': Endpoint(
        'task',
        '/workflows/<id:task_id>',
        'The workflow to which a task belongs, from the top down. The task may be one that is yet to be sent.',
        {'first': Field('The number of the first task in the answer.', most=WORKFLOW, default=1), **_FORMAT},
        'TaskOfWorkflow',
        lambda _: {
            **told(TrackedTask, False),
            'state': Annotated[str, 'Its state, as its workflow tells it.'],
            'note': Annotated[str | None, 'Why it was not sent, if it was not.'],
            'depth': Annotated[int, 'The number of tasks above it.'],
        },
        _workflow,
        'tasks',
        {
            'state': Annotated[str, 'The state of the whole workflow.'],
            'total': Annotated[int, f'The number of its tasks, up to {WORKFLOW:,}.'],
            'first': Annotated[int, 'The number of the first task in the answer.'],
            'next': _NEXT,
        },
    ),
    'failures': Endpoint(
        'failures',
        '/failures',
        'Tasks that failed, counted by name, error and message. The most frequent come first.',
        _IN_WINDOW,
        'Failure',
        lambda shows: told(Failure, shows),
        _failures,
        'failures',
        _WINDOW,
    ),
    'names': Endpoint(
        'names',
        '/names',
        'Names of tasks: how many there are, how many failed, and how long they waited and ran.',
        _IN_WINDOW,
        'Name',
        lambda _: told(TaskStats),
        _names,
        'names',
        _WINDOW,
    ),
    'workers': Endpoint(
        'workers',
        '/workers',
        'Workers that reported. The one that was seen last comes first.',
        _IN_WINDOW,
        'Worker',
        lambda _: told(ReportedWorker),
        _workers,
        'workers',
        _WINDOW,
    ),
    'counts': Endpoint(
        'counts',
        '/counts',
        'Tasks that were scheduled, counted by time, state and queue.',
        _IN_WINDOW,
        'Count',
        lambda _: told(Count),
        _counts,
        'counts',
        {**_WINDOW, 'bar': Annotated[int, 'The length of each stretch of time that is counted, in seconds.']},
    ),
}
