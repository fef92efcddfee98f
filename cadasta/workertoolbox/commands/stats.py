"""The command ``celery toolbox stats``."""

from datetime import datetime

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .ages import newer_than_option
from .database_option import database_of, database_option, usable_database
from .options import option


@click.command(cls=CeleryCommand)
@database_option
@newer_than_option('Tasks first seen')
@option('--json', is_flag=True, help='Print a JSON document a line for each name.')
@click.pass_context
@handle_preload_options
def stats(ctx: click.Context, database: str | None, newer_than: datetime, json: bool) -> None:
    """Summarise the tasks of each name: how many, how many failed, and how long they waited and ran.

    RATE is the number in an hour. FAILED is the share of those that succeeded or failed. Half of the tasks waited for
    WAITED p50 or less, from when they were sent until they started, and 95 % of them for WAITED p95 or less. RAN counts
    the tasks that succeeded or failed, from their last start. These four times are off by no more than 1 %.

    In a pipe, the command prints a line for each name, with tabs between its fields: count, rate, failed %, four times
    in seconds, name.
    """
    from ..terminal.listing import Column, show
    from ..terminal.output import make_console
    from ..tracked import TrackedTasks
    from ..tracked.documents import dumped

    with usable_database(), TrackedTasks(database_of(ctx.obj.app, database)) as tracked:
        found = tracked.stats(newer_than)
    if json:
        for item in found:
            click.echo(dumped(item, False))
        return
    columns = [
        Column('COUNT', lambda item: item.count),
        Column('RATE', lambda item: item.rate, unit='/h'),
        Column('FAILED', lambda item: item.failed_percent, unit=' %'),
        Column('WAITED p50', lambda item: item.waited_p50, unit=' s'),
        Column('p95', lambda item: item.waited_p95, unit=' s'),
        Column('RAN p50', lambda item: item.ran_p50, unit=' s'),
        Column('p95', lambda item: item.ran_p95, unit=' s'),
        Column('NAME', lambda item: item.name, shrinks=True),
    ]
    show(make_console(ctx.obj.no_color), columns, found)
