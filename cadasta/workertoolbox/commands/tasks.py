"""The command ``celery toolbox tasks``."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import CeleryCommand, CeleryOption, handle_preload_options

from .database import database_of, database_option

if TYPE_CHECKING:
    from ..status import Filter, Statuses
    from ..status.terminal import Screen

_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}


def _ago(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    match = re.fullmatch(r'(\d{1,5})([smhdw])', value, re.ASCII)
    if match is None:
        raise click.BadParameter(f'{value!r} is no age such as 90s, 15m, 2h, 3d or 1w.')
    return datetime.now(UTC) - timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _option(name: str, **attributes: Any) -> Any:
    variable = f'TOOLBOX_{name.lstrip("-").upper().replace("-", "_")}'
    return click.option(name, cls=CeleryOption, envvar=variable, show_envvar=True, **attributes)


@click.command(cls=CeleryCommand)
@database_option
@_option('--state', type=click.Choice(
    ['PENDING', 'RECEIVED', 'STARTED', 'RETRY', 'SUCCESS', 'FAILURE', 'REVOKED'], case_sensitive=False),
    help='Tasks of this state. Tasks that ignore their results are PENDING for ever.')
@_option('--name', metavar='NAME', help='Tasks of this name, or whose names begin so if it ends with *.')
@_option('--root', metavar='ID', help='Tasks of the workflow that the task of this id began.')
@_option('--queue', metavar='KEY', help='Tasks of this routing key.')
@_option('--newer-than', metavar='AGE', callback=_ago, help='Tasks first seen since then: 15m, 2h, 3d ago.')
@_option('--older-than', metavar='AGE', callback=_ago, help='Tasks first seen before then.')
@_option('--limit', type=click.IntRange(1, 100_000), default=20, show_default=True, help='Tasks, at most.')
@_option('--tree', metavar='ID', help='Draw the workflow that the task of this id belongs to.')
@_option('--follow', is_flag=True, help='Show what changes, until Ctrl-C.')
@_option('--json', is_flag=True, help='A JSON document for each task, one a line; for a tree, one in all.')
@_option('--show-arguments', is_flag=True,
         help='With what tasks were called with and what they returned or raised; in JSON, options and traceback too.')
@click.pass_context
@handle_preload_options
def tasks(
    ctx: click.Context, database: str | None, limit: int, tree: str | None, follow: bool, json: bool,
    show_arguments: bool, **conditions: Any,
) -> None:
    """Show what was scheduled and what became of it, newest first.

    What a task took is counted from when the monitor stored it to when it was done: its time in the queue included.
    Last come results whose task the monitor has not stored.

    In a pipe, a task is a line of fields between tabs: first seen, state, seconds taken, id, queue, name.
    """
    from sqlalchemy.exc import DBAPIError

    from ..status import Filter, NotUsable, Statuses
    from ..status.terminal import Screen

    where = Filter(**conditions)
    if tree is not None and (follow or where != Filter()):
        raise click.UsageError('--tree shows a whole workflow: give no --follow and no condition with it.')
    screen = Screen(ctx.obj.no_color, show_arguments)
    try:
        with Statuses(database_of(ctx.obj.app, database)) as statuses:
            if tree is not None:
                _show_tree(statuses, screen, tree, json)
            elif follow:
                _follow(statuses, screen, where, limit, json)
            else:
                _show(statuses, screen, where, limit, json)
    except NotUsable as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        raise click.ClickException(f'The database cannot be reached: {error.orig}') from error


def _show(statuses: 'Statuses', screen: 'Screen', where: 'Filter', limit: int, as_json: bool) -> None:
    found = statuses.page(where, limit)
    if as_json:
        for task in found:
            screen.json(task)
    else:
        screen.tasks(found)


def _show_tree(statuses: 'Statuses', screen: 'Screen', task_id: str, as_json: bool) -> None:
    from ..status import overall, tree

    found = statuses.workflow(task_id)
    if not found:
        raise click.ClickException(f'No task {task_id!r} is known: its id is wrong, or no monitor has stored it yet')
    screen.tree(overall(found), tree(found), as_json)


def _follow(statuses: 'Statuses', screen: 'Screen', where: 'Filter', limit: int, as_json: bool) -> None:
    from ..status.follow import appended, live

    try:
        if screen.is_terminal and not as_json:
            live(statuses, screen, where, limit)
        else:
            appended(statuses, screen.json if as_json else screen.line, where, limit)
    except KeyboardInterrupt:
        # That is how it ends.
        return
