"""The command ``celery toolbox workers``."""

from datetime import datetime

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .ages import newer_than_option
from .database_option import database_of, database_option, usable_database
from .options import option


@click.command(cls=CeleryCommand)
@database_option
@newer_than_option('Workers that were seen')
@option('--json', is_flag=True, help='Print a JSON document a line for each worker.')
@click.pass_context
@handle_preload_options
def workers(ctx: click.Context, database: str | None, newer_than: datetime, json: bool) -> None:
    """List the workers that reported to the platform, each start of a worker in a line.

    STANDING is alive, silent or ended. A worker is silent if the monitor has read the platform queue for 90 seconds
    without a report of it. If the monitor is away, nobody becomes silent. SEEN is how long ago the monitor stored the
    latest report. HELD counts the messages that the worker had: those of its ACTIVE tasks, those that it had
    prefetched, and those that waited for their eta. DONE counts the tasks since its start.

    In a pipe, the command prints a line for each worker, with tabs between its fields: standing, last seen, active,
    concurrency, held, done, pool, version, name, process, queues.
    """
    from ..terminal.listing import Column, show
    from ..terminal.output import make_console
    from ..tracked import TrackedTasks
    from ..tracked.documents import dumped

    with usable_database(), TrackedTasks(database_of(ctx.obj.app, database)) as tracked:
        found = tracked.workers(newer_than)
    if json:
        for item in found:
            click.echo(dumped(item, False))
        return
    columns = [
        Column('STANDING', lambda item: item.standing),
        Column('SEEN', lambda item: item.last_seen),
        Column('ACTIVE', lambda item: item.active),
        Column('OF', lambda item: item.concurrency),
        Column('HELD', lambda item: item.held),
        Column('DONE', lambda item: item.done),
        Column('POOL', lambda item: item.pool, is_wide=True),
        Column('TOOLBOX', lambda item: item.versions['toolbox'], is_wide=True),
        Column('NAME', lambda item: item.name, shrinks=True),
        Column('PROCESS', lambda item: f'{item.host}:{item.pid}', is_wide=True),
        Column('QUEUES', lambda item: ', '.join(item.queues), shrinks=True),
    ]
    show(make_console(ctx.obj.no_color), columns, found)
