"""The command ``celery toolbox cancel``."""

import sys
from typing import Any

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .options import option


@click.command(cls=CeleryCommand)
@click.argument('ids', metavar='[ID]...', nargs=-1)
@database_option
@option('--root', metavar='ID', help='Tasks of the workflow that the task of this id began.')
@option('--name', metavar='NAME', help='Tasks of this name, or whose names begin so if it ends with *.')
@option('--queue', metavar='KEY', help='Tasks of this routing key.')
@option('--yes', is_flag=True, help='Cancel them. Without it, the command shows what it would cancel.')
@click.pass_context
@handle_preload_options
def cancel(ctx: click.Context, ids: tuple[str, ...], database: str | None, yes: bool, **conditions: Any) -> None:
    """Cancel tasks that have not ended.

    A task that has not started is not run. A task that runs is terminated when its worker next renews its lease, within
    20 seconds, if its worker has a prefork pool; with another pool it runs on, and its result is dropped.
    """
    from ..results.cancelling import Cancelling
    from ..tracked import Filter, TrackedTasks
    from ..tracked.extent import BRIEF

    where = Filter(**conditions)
    if bool(ids) == (where != Filter()):
        raise click.UsageError('Name the tasks either by their ids or by --root, --name and --queue.')
    app = ctx.obj.app
    url = database_of(app, database)
    with usable_database():
        with TrackedTasks(url) as tasks:
            found = tasks.find(ids, BRIEF) if ids else tasks.stream(where, sys.maxsize, BRIEF)
            known = {task.task_id: task for task in found}
        chosen = [task_id for task_id in (ids or known) if task_id not in known or not known[task_id].is_done]
        if yes:
            with Cancelling(url, app.conf.database_table_names, app.conf.database_table_schemas) as cancelling:
                cancelled = cancelling.cancel(chosen)
            chosen = [task_id for task_id in chosen if task_id in cancelled]
    for task_id in chosen:
        task = known.get(task_id)
        click.echo(f'{task_id}\t{task.status}\t{task.name or ""}' if task else f'{task_id}\tunknown\t')
    if yes:
        click.echo(f'{len(chosen)} cancelled', err=True)
    else:
        click.echo(f'{len(chosen)} would be cancelled: repeat the command with --yes', err=True)
