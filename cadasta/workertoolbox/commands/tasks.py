"""The command ``celery toolbox tasks``."""

from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .ages import ago
from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..terminal.tasks import Screen
    from ..tracked import Filter, TrackedTasks


@click.command(cls=CeleryCommand)
@database_option
@option(
    '--state',
    type=click.Choice(
        ['PENDING', 'RECEIVED', 'STARTED', 'RETRY', 'SUCCESS', 'FAILURE', 'REVOKED'], case_sensitive=False
    ),
    help='Tasks of this state. A task that ignores its result stays PENDING.',
)
@option('--name', metavar='NAME', help='Tasks of this name. With a * at its end, tasks whose names begin so.')
@option('--root', metavar='ID', help='Tasks of the workflow that began with the task of this id.')
@option('--queue', metavar='KEY', help='Tasks of this routing key.')
@option('--newer-than', metavar='AGE', callback=ago, help='Tasks first seen in this time: 15m, 2h, 3d.')
@option('--older-than', metavar='AGE', callback=ago, help='Tasks first seen before this time.')
@option('--limit', type=click.IntRange(1, 100_000), default=20, show_default=True, help='The most tasks to show.')
@option('--tree', metavar='ID', help='Draw the workflow of the task of this id.')
@option('--follow', is_flag=True, help='Show new tasks and new states, until Ctrl-C.')
@option('--json', is_flag=True, help='Print a JSON document a line for each task, or one document for a tree.')
@option(
    '--show-arguments',
    is_flag=True,
    help='Show arguments, results and errors too; in JSON also options and tracebacks.',
)
@click.pass_context
@handle_preload_options
def tasks(
    ctx: click.Context,
    database: str | None,
    limit: int,
    tree: str | None,
    follow: bool,
    json: bool,
    show_arguments: bool,
    **conditions: Any,
) -> None:
    """List scheduled tasks and their states, newest first.

    The column TOOK counts from the moment in which the monitor stored the task to its end, so it includes the time in
    the queue. The list ends with results whose task the monitor has not stored.

    In a pipe, the command prints a line a task, with tabs between its fields: first seen, state, seconds taken, id,
    queue, name.
    """
    from ..terminal.output import make_console
    from ..terminal.tasks import Screen
    from ..tracked import Filter, TrackedTasks

    where = Filter(**conditions)
    if tree is not None and (follow or where != Filter()):
        raise click.UsageError('--tree shows a whole workflow: give no --follow and no condition with it.')
    screen = Screen(make_console(ctx.obj.no_color), show_arguments)
    with usable_database(), TrackedTasks(database_of(ctx.obj.app, database)) as tracked:
        if tree is not None:
            _show_tree(tracked, screen, tree, json)
        elif follow:
            _follow(tracked, screen, where, limit, json)
        else:
            _show(tracked, screen, where, limit, json)


def _show(tracked: 'TrackedTasks', screen: 'Screen', where: 'Filter', limit: int, as_json: bool) -> None:
    found = tracked.page(where, limit)
    if as_json:
        for task in found:
            screen.json(task)
    else:
        screen.tasks(found)


def _show_tree(tracked: 'TrackedTasks', screen: 'Screen', task_id: str, as_json: bool) -> None:
    from ..tracked import overall, tree

    found = tracked.workflow(task_id)
    if not found:
        raise click.ClickException(f'No task {task_id!r} is known: its id is wrong, or no monitor has stored it yet')
    screen.tree(overall(found), tree(found), as_json)


def _follow(tracked: 'TrackedTasks', screen: 'Screen', where: 'Filter', limit: int, as_json: bool) -> None:
    from ..terminal.following import appended, live

    try:
        if screen.is_terminal and not as_json:
            live(tracked, screen, where, limit)
        else:
            appended(tracked, screen.json if as_json else screen.line, where, limit)
    except KeyboardInterrupt:
        # Ctrl-C is the way to end it.
        return
