"""The command ``celery toolbox tasks``."""

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .ages import ago
from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..terminal.tasks import Screen
    from ..tracked import Filter, TrackedTasks

# The number of a positional argument.
_NUMBER = re.compile(r'[0-9]{1,4}')


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f'{value!r} is no time. Write it 2026-11-20 or "2026-11-20 08:00".') from None


def _zone(ctx: click.Context, param: click.Parameter, value: str | None) -> tzinfo:
    from zoneinfo import ZoneInfo

    try:
        return UTC if value is None else ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise click.BadParameter(f'{value!r} is no time zone. Write it Europe/Berlin.') from None


def _argument(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    name, is_pair, wanted = value.partition('=')
    if not (is_pair and (name.isidentifier() or _NUMBER.fullmatch(name))):
        raise click.BadParameter(f'{value!r} is no NAME=VALUE. Write it customer=42, or 0=42 for the first argument.')
    return name, wanted


@click.command(cls=CeleryCommand)
@database_option
@option(
    '--state',
    type=click.Choice(
        ['PENDING', 'RECEIVED', 'STARTED', 'RETRY', 'SUCCESS', 'FAILURE', 'REVOKED'], case_sensitive=False
    ),
    help='Tasks of this state. A task that ignores its result stays PENDING.',
)
@option(
    '--standing',
    type=click.Choice(
        [
            *('waiting', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'expired'),
            *('unknown', 'lost'),
        ],
        case_sensitive=False,
    ),
    help='Tasks of which this has become.',
)
@option('--id', 'id_prefix', metavar='PREFIX', help='Tasks whose id begins so.')
@option('--name', metavar='NAME', help='Tasks of this name. With a * at its end, tasks whose names begin so.')
@option(
    '--argument',
    metavar='NAME=VALUE',
    callback=_argument,
    help='Tasks that were called with this argument: customer=42, or 0=42 for the first positional one. 42 also finds '
    'the text "42".',
)
@option('--error', metavar='CLASS', help='Tasks that raised an exception of this class last: KeyError.')
@option('--worker', metavar='NAME', help='Tasks that this worker started last, or workers whose names begin so.')
@option('--root', metavar='ID', help='Tasks of the workflow that began with the task of this id.')
@option('--group', metavar='ID', help='Tasks of this group, or of the header of this chord.')
@option('--queue', metavar='KEY', help='Tasks of this routing key.')
@option('--newer-than', metavar='AGE', callback=ago, help='Tasks first seen in this time: 15m, 2h, 3d.')
@option('--older-than', metavar='AGE', callback=ago, help='Tasks first seen before this time.')
@option('--since', metavar='TIME', callback=_time, help='Tasks first seen at this time or later: "2026-11-20 08:00".')
@option('--until', metavar='TIME', callback=_time, help='Tasks first seen before this time.')
@option(
    '--timezone',
    'zone',
    metavar='ZONE',
    callback=_zone,
    help='Time zone of --since and --until, and of the times that are printed: Europe/Berlin.  [default: UTC]',
)
@option('--limit', type=click.IntRange(1, 100_000), default=20, show_default=True, help='The most tasks to show.')
@option(
    '--tree',
    metavar='ID',
    help='Draw the workflow of the task of this id; with conditions, only the tasks that meet them and those above.',
)
@option('--follow', is_flag=True, help='Show new tasks and new states, until Ctrl-C.')
@option('--json', is_flag=True, help='Print a JSON document a line for each task, or one document for a tree.')
@option('--csv', is_flag=True, help='Print a line with the names of the columns, and a line of CSV for each task.')
@option(
    '--show-arguments',
    is_flag=True,
    help='Show arguments, results and errors too; in JSON and CSV also options and tracebacks.',
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
    csv: bool,
    show_arguments: bool,
    zone: tzinfo,
    **conditions: Any,
) -> None:
    """List scheduled tasks and their states, newest first.

    WAITED counts the seconds from when a task was sent, or from its eta, until it started. RAN counts from there to its
    end, or until now. A narrow terminal shows TOOK instead, from when the task was sent to its end. The list ends with
    results whose task the monitor has not stored.

    In a pipe, the command prints a line a task, with tabs between its fields: first seen, state, seconds taken, id,
    queue, name, arguments if they are shown, standing, seconds waited, seconds run, worker.
    """
    from ..terminal.output import make_console
    from ..terminal.tasks import Screen
    from ..tracked import TrackedTasks

    where = _filter(zone, **conditions)
    if csv and (json or follow or tree is not None):
        raise click.UsageError('--csv prints a list: give no --json, no --follow and no --tree with it.')
    if tree is not None and follow:
        raise click.UsageError('--tree shows a whole workflow: give no --follow with it.')
    screen = Screen(make_console(ctx.obj.no_color), show_arguments, zone)
    with usable_database(), TrackedTasks(database_of(ctx.obj.app, database)) as tracked:
        if tree is not None:
            _show_tree(tracked, screen, tree, where, json)
        elif follow:
            _follow(tracked, screen, where, limit, json)
        else:
            _show(tracked, screen, where, limit, json, csv)


def _filter(zone: tzinfo, **conditions: Any) -> 'Filter':
    from ..tracked import Filter

    for since, age, later in (('since', 'newer_than', max), ('until', 'older_than', min)):
        moment = conditions.pop(since)
        if moment is not None:
            moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            conditions[age] = later(moment, conditions[age] or moment)
    return Filter(**conditions)


def _show(tracked: 'TrackedTasks', screen: 'Screen', where: 'Filter', limit: int, as_json: bool, as_csv: bool) -> None:
    found = tracked.stream(where, limit, screen.extent(as_json or as_csv))
    if as_json:
        for task in found:
            screen.json(task)
    elif as_csv:
        screen.csv(found)
    else:
        screen.tasks(found)


def _show_tree(tracked: 'TrackedTasks', screen: 'Screen', task_id: str, where: 'Filter', as_json: bool) -> None:
    from dataclasses import replace
    from functools import partial

    from ..tracked import Filter, overall, tree
    from ..tracked.extent import BRIEF
    from ..tracked.tree import narrowed

    found = tracked.workflow(task_id, whole=False)
    if not found:
        raise click.ClickException(f'No task {task_id!r} is known: its id is wrong, or no monitor has stored it yet')
    roots, total = tree(found), None
    if where != Filter():
        # The tree knows more about states than the rows.
        others = replace(where, state=None)
        met = {task.task_id for task in tracked.find([task.task_id for task in found], BRIEF, others)}
        roots = narrowed(roots, lambda node: node.task.task_id in met and where.state in (None, node.state))
        total = len(found)
    details = partial(tracked.detailed, extent=screen.extent(as_json)) if screen.arguments else iter
    screen.tree(overall(found), roots, as_json, total, details)


def _follow(tracked: 'TrackedTasks', screen: 'Screen', where: 'Filter', limit: int, as_json: bool) -> None:
    from ..terminal.following import appended, live

    try:
        if screen.is_terminal and not as_json:
            live(tracked, screen, where, limit)
        else:
            show = screen.json if as_json else screen.line
            appended(tracked, show, where, limit, screen.extent(as_json))
    except KeyboardInterrupt:
        # Ctrl-C is the way to end it.
        return
