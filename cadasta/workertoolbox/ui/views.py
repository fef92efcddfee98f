"""The pages."""

from flask import Blueprint, abort, current_app, render_template, request

from ..tracked.extent import BRIEF, LARGE, Extent
from ..tracked.query import TrackedTasks
from ..tracked.task import STATES
from . import chart, filters, texts
from .workflow import AXIS, workflow

pages = Blueprint('pages', __name__)

#: The tasks on a page of the list.
TASKS = 50
#: The most tasks of a workflow that a page reads.
WORKFLOW = 10_000
#: The most queues that a page draws.
QUEUES = 50


def tracked_tasks() -> TrackedTasks:
    # Each request opens a connection, so that the page finds a database that was away.
    return TrackedTasks(current_app.config['DATABASE'])


@pages.get('/')
def tasks() -> str:
    fields = filters.read(request.args)
    before = filters.read_cursor(request.args)
    wanted = filters.to_filter(fields)
    with tracked_tasks() as database:
        # The page asks for one more than it shows, to know whether there is another page.
        found = database.page(wanted, TASKS + 1, before, BRIEF)
    given = {field: value for field, value in fields.items() if value}
    return render_template(
        'tasks.html',
        states=STATES,
        fields=fields,
        tasks=found[:TASKS],
        given=given,
        is_first=before is None,
        next_place=filters.write_cursor(found[TASKS - 1].cursor) if len(found) > TASKS else None,
    )


@pages.get('/tasks/<path:task_id>')
def task(task_id: str) -> str:
    show_arguments = current_app.config['SHOW_ARGUMENTS']
    with tracked_tasks() as database:
        found = database.get(task_id, Extent(LARGE, texts.LONGEST) if show_arguments else BRIEF)
        if found is None:
            abort(404, f'There is neither a task nor a result with the id {task_id!r}.')
        drawn = workflow(database.workflow(task_id, WORKFLOW, whole=False))
    return render_template(
        'task.html',
        task=found,
        workflow=drawn,
        most=WORKFLOW,
        axis=AXIS,
        show_arguments=show_arguments,
    )


@pages.get('/counts')
def counts() -> str:
    chosen = request.args.get('window', 'day')
    window = chart.WINDOWS.get(chosen)
    if window is None:
        abort(400, f'window: {chosen!r} is none of {", ".join(chart.WINDOWS)}.')
    since = window.since
    with tracked_tasks() as database:
        found = chart.queues(database.counts(since, window.bucket), since, window)
    return render_template(
        'counts.html',
        windows=chart.WINDOWS,
        chosen=chosen,
        window=window,
        since=since,
        queues=found,
        limit=QUEUES,
        height=chart.HEIGHT,
    )
