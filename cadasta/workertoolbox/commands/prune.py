"""The command ``celery toolbox prune``."""

import signal
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .ages import length
from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..database.pruning import Pruned, Pruning, Retention


@click.command(cls=CeleryCommand)
@database_option
@option('--older-than', metavar='AGE', required=True, callback=length, help='How old it must be: 12h, 90d, 1y.')
@option(
    '--failures-older-than',
    metavar='AGE',
    callback=length,
    help='How old tasks that failed must be.  [default: as old as others]',
)
@option('--unfinished', is_flag=True, help='Delete also tasks that have not ended.')
@option(
    '--archive',
    metavar='TABLE',
    help='Copy tasks and results into this table before they are deleted. It is created where it is missing.',
)
@option('--every', metavar='AGE', callback=length, help='Repeat it at this interval, until SIGTERM or SIGINT.')
@option('--yes', is_flag=True, help='Delete them. Without it, the command counts what it would delete.')
@click.pass_context
@handle_preload_options
def prune(
    ctx: click.Context,
    database: str | None,
    older_than: timedelta,
    failures_older_than: timedelta | None,
    unfinished: bool,
    archive: str | None,
    every: timedelta | None,
    yes: bool,
) -> None:
    """Delete old tasks, their results, saved groups, rejected messages, and rows of workers and monitors.

    A task is old if both its last message and its result are. A task that has not ended is kept, and each task of a
    workflow is judged by itself. Where nobody stores the result of a task, its message decides.

    The command may run beside workers and monitors: it deletes at most 1,000 rows in a transaction, leaves locked rows
    for the next time, and pauses after each transaction for as long as that took.
    """
    from ..database.pruning import Pruning, Retention

    if every is not None and not yes:
        raise click.UsageError('--every deletes without asking: give --yes with it.')
    app = ctx.obj.app
    retention = Retention(older_than, failures_older_than, unfinished)
    pruning = Pruning(
        database_of(app, database), app.conf.database_table_names, app.conf.database_table_schemas, archive
    )
    if every is None:
        with usable_database(), pruning:
            _show(pruning.prune(retention) if yes else pruning.count(retention))
        if not yes:
            click.echo('would be deleted: repeat the command with --yes', err=True)
        return
    # Either signal undoes the transaction at hand.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _repeat(pruning, retention, every)


def _repeat(pruning: 'Pruning', retention: 'Retention', every: timedelta) -> None:
    from sqlalchemy.exc import DBAPIError

    from ..database.faults import explained, fault_of
    from ..durations import written

    while True:
        began = time.monotonic()
        with usable_database():
            try:
                with pruning:
                    _show(pruning.prune(retention))
            except DBAPIError as error:
                click.echo(
                    f'The database {fault_of(error).value}, next try in {written(every)}: {explained(error)}', err=True
                )
        time.sleep(max(0.0, began + every.total_seconds() - time.monotonic()))


def _show(pruned: 'Pruned') -> None:
    for name, count in pruned._asdict().items():
        click.echo(f'{name}\t{count}')
