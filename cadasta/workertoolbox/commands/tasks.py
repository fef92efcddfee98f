"""The command ``celery toolbox tasks``."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..terminal.tasks import Screen
    from ..tracked import Filter, TrackedTasks


def _ago(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    from ..durations import ago

    try:
        return None if value is None else ago(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(cls=CeleryCommand)
@database_option
@option(
    '--state',
    type=click.Choice(
        ['PENDING', 'RECEIVED', 'STARTED', 'RETRY', 'SUCCESS', 'FAILURE', 'REVOKED'], case_sensitive=False
    ),
    help='Tasks of this state. Tasks that ignore their results are PENDING for ever.',
)
@option('--name', metavar='NAME', help='Tasks of this name, or whose names begin so if it ends with *.')
@option('--root', metavar='ID', help='Tasks of the workflow that the task of this id began.')
@option('--queue', metavar='KEY', help='Tasks of this routing key.')
@option('--newer-than', metavar='AGE', callback=_ago, help='Tasks first seen since then: 15m, 2h, 3d ago.')
@option('--older-than', metavar='AGE', callback=_ago, help='Tasks first seen before then.')
@option('--limit', type=click.IntRange(1, 100_000), default=20, show_default=True, help='Tasks, at most.')
@option('--tree', metavar='ID', help='Draw the workflow that the task of this id belongs to.')
@option('--follow', is_flag=True, help='Show what changes, until Ctrl-C.')
@option('--json', is_flag=True, help='A JSON document for each task, one a line; for a tree, one in all.')
@option(
    '--show-arguments',
    is_flag=True,
    help='With what tasks were called with and what they returned or raised; in JSON, options and traceback too.',
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
    """Show what was scheduled and what became of it, newest first.

    What a task took is counted from when the monitor stored it to when it was done: its time in the queue included.
    Last come results whose task the monitor has not stored.

    In a pipe, a task is a line of fields between tabs: first seen, state, seconds taken, id, queue, name.
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
        # That is how it ends.
        return
