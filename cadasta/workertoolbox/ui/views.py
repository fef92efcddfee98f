"""The pages."""

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ..tracked.extent import BRIEF, LARGE, Extent
from ..tracked.query import TrackedTasks
from ..tracked.readings import Readings
from ..tracked.task import STANDINGS, STATES, TrackedTask
from . import arguments, chart, failing, filters, texts
from .commands import mending
from .overview import NEWEST, overview
from .windows import HOUR, WINDOWS, Window, chosen
from .workflow import AXIS, LIMIT, Workflow, workflow

pages = Blueprint('pages', __name__)

#: The tasks on a page of the list.
TASKS = 50
#: The most tasks of a workflow that a page reads.
WORKFLOW = 10_000
#: The most queues that a page draws.
QUEUES = 50
#: The most kinds of failures, and the most names, on a page.
ROWS = 200


def tracked_tasks() -> TrackedTasks:
    # Each request opens a connection, so that the page finds a database that was away.
    return TrackedTasks(current_app.config['DATABASE'])


@pages.get('/')
def now() -> str | Response:
    if request.args:
        # The list was here, and its addresses are in bookmarks.
        fields = filters.read({'find': request.args.get('name', ''), **request.args})
        return redirect(f'{url_for("pages.tasks")}?{urlencode(fields)}')
    with Readings(current_app.config['DATABASE']) as readings:
        found = overview(readings)
    return render_template(
        'now.html',
        found=found,
        hour=HOUR,
        newest=NEWEST,
        height=chart.HEIGHT,
        show_arguments=arguments.are_shown(),
    )


@pages.get('/tasks')
def tasks() -> str | tuple[str, int]:
    fields = filters.read(request.args)
    before = filters.read_cursor(request.args)
    values = {'states': STATES, 'standings': STANDINGS, 'fields': fields, 'is_first': before is None}
    problems = filters.problems(fields)
    if problems:
        return render_template('tasks.html', **values, problems=problems, tasks=[], errors={}, next_place=None), 400
    found: list[TrackedTask] = []
    with tracked_tasks() as database:
        for where in filters.to_filters(fields):
            # The page asks for one more than it shows, to know whether there is another page.
            found = found or database.page(where, TASKS + 1, before, BRIEF)
        errors = failing.errors(database, found[:TASKS])
    return render_template(
        'tasks.html',
        **values,
        problems={},
        tasks=found[:TASKS],
        errors=errors,
        next_place=filters.write_cursor(found[TASKS - 1].cursor) if len(found) > TASKS else None,
    )


@pages.get('/tasks/<id:task_id>')
def task(task_id: str) -> str:
    show_arguments = arguments.are_shown()
    with tracked_tasks() as database:
        found = database.get(task_id, Extent(LARGE, texts.LONGEST) if show_arguments else BRIEF)
        related = database.workflow(task_id, WORKFLOW, whole=False)
        errors = failing.errors(database, [found] if found else [])
    if not related:
        abort(404, f'There is neither a task nor a result with the id {task_id!r}.')
    drawn = workflow(related, request.args.get('first', 1, int))
    if found is None:
        return render_template('unsent.html', task_id=task_id, **_of_workflow(drawn, task_id))
    return render_template(
        'task.html',
        task=found,
        error=errors.get(task_id),
        mending=mending(found),
        show_arguments=show_arguments,
        **_of_workflow(drawn, task_id),
    )


def _of_workflow(drawn: Workflow, task_id: str) -> dict[str, object]:
    return {'workflow': drawn, 'shown': task_id, 'most': WORKFLOW, 'limit': LIMIT, 'axis': AXIS}


@pages.get('/failures')
def failures() -> str:
    return _listed('failures.html', lambda database, window: database.failures(window.since))


@pages.get('/names')
def names() -> str:
    return _listed('names.html', lambda database, window: database.stats(window.since))


@pages.get('/workers')
def workers() -> str:
    return _listed('workers.html', lambda database, window: database.workers(window.since))


def _listed(template: str, read: Callable[[TrackedTasks, Window], Sequence[object]]) -> str:
    window = _window()
    with tracked_tasks() as database:
        found = read(database, window)
    return render_template(
        template,
        window=window,
        windows=WINDOWS,
        rows=found[:ROWS],
        more=max(len(found) - ROWS, 0),
        show_arguments=arguments.are_shown(),
    )


@pages.get('/counts')
def counts() -> str:
    window = _window()
    since = window.first_bar
    with tracked_tasks() as database:
        found = chart.queues(database.counts(since, window.bucket), since, window)
    return render_template(
        'counts.html',
        window=window,
        windows=WINDOWS,
        since=since,
        rows=found[:QUEUES],
        more=max(len(found) - QUEUES, 0),
        height=chart.HEIGHT,
    )


def _window() -> Window:
    return chosen(request.args.get('window', 'day'))
