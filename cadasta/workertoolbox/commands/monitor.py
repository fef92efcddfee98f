"""The command ``celery toolbox monitor``."""

from pathlib import Path

import click
from celery.bin.base import LOG_LEVEL, CeleryCommand, handle_preload_options
from click.core import ParameterSource

from .database_option import database_of, database_option, usable_database
from .logs import set_up_logging
from .options import option

_FORMAT = '[%(asctime)s: %(levelname)s] %(message)s'


@click.command(cls=CeleryCommand)
@database_option
@option(
    '--batch',
    type=click.IntRange(1, 10_000),
    default=500,
    show_default=True,
    help='The most messages that one statement stores.',
)
@option(
    '--linger',
    type=click.FloatRange(0, 60),
    default=0.2,
    show_default=True,
    help='Seconds that the first message of a batch waits for others.',
)
@option(
    '--once',
    is_flag=True,
    help='Stop when the platform queue is empty, or when all is stored that was there at the start.',
)
@option(
    '--no-arguments',
    is_flag=True,
    help="Store the arguments' representations that the senders allowed (argsrepr, kwargsrepr), not the arguments.",
)
@option(
    '--ready-file',
    type=click.Path(dir_okay=False, path_type=Path),
    help='File that exists while broker and database answer, touched at least once a minute.',
)
@option('-l', '--loglevel', type=LOG_LEVEL, default='INFO', show_default=True, help='Logging level.')
@click.pass_context
@handle_preload_options
def monitor(
    ctx: click.Context,
    database: str | None,
    batch: int,
    linger: float,
    once: bool,
    no_arguments: bool,
    ready_file: Path | None,
    loglevel: int,
) -> None:
    """Drain the platform queue, and store every scheduled task in the Task table.

    SIGTERM and SIGINT end it once the batch at hand is stored. Any number of monitors may run at once.
    """
    from ..monitor import Monitor
    from ..monitor.freed_memory import give_back

    give_back()
    is_given = ctx.get_parameter_source('loglevel') is not ParameterSource.DEFAULT
    set_up_logging(loglevel, is_given, _FORMAT)
    with usable_database():
        task_monitor = Monitor(
            ctx.obj.app, database_of(ctx.obj.app, database), batch, linger, once, not no_arguments, ready_file
        )
        with task_monitor.stopped_by_signals():
            task_monitor.run()
