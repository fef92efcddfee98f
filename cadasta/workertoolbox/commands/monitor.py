"""The command ``celery toolbox monitor``."""

import logging
from pathlib import Path

import click
from celery.bin.base import LOG_LEVEL, CeleryCommand, CeleryOption, handle_preload_options

from .database import database_of, database_option

_FORMAT = '[%(asctime)s: %(levelname)s] %(message)s'


@click.command(cls=CeleryCommand)
@database_option
@click.option('--batch', cls=CeleryOption, type=click.IntRange(1, 10_000), default=500, show_default=True,
              envvar='TOOLBOX_BATCH', show_envvar=True, help='Messages that are stored by one statement, at most.')
@click.option('--linger', cls=CeleryOption, type=click.FloatRange(0, 60), default=0.2, show_default=True,
              envvar='TOOLBOX_LINGER', show_envvar=True,
              help='Seconds that a message waits for more, until its batch is full.')
@click.option('--once', cls=CeleryOption, is_flag=True, envvar='TOOLBOX_ONCE', show_envvar=True,
              help='Stop when the platform queue is empty.')
@click.option('--no-arguments', cls=CeleryOption, is_flag=True, envvar='TOOLBOX_NO_ARGUMENTS', show_envvar=True,
              help="Store the arguments' representations that the senders allowed (argsrepr, kwargsrepr), "
                   'not the arguments.')
@click.option('--ready-file', cls=CeleryOption, type=click.Path(dir_okay=False, path_type=Path),
              envvar='TOOLBOX_READY_FILE', show_envvar=True,
              help='File that exists while broker and database answer, touched at least once a minute.')
@click.option('-l', '--loglevel', cls=CeleryOption, type=LOG_LEVEL, default='INFO', show_default=True,
              envvar='TOOLBOX_LOGLEVEL', show_envvar=True, help='Logging level.')
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
    """Store every scheduled task in the Task table: drain the platform queue.

    SIGTERM and SIGINT end it when the batch at hand is stored. Any number of monitors may run at once.
    """
    from ..monitor import Monitor, NotUsable

    logging.basicConfig(level=loglevel, format=_FORMAT)
    try:
        task_monitor = Monitor(
            ctx.obj.app, database_of(ctx.obj.app, database), batch, linger, once, not no_arguments, ready_file)
        with task_monitor.stopped_by_signals():
            task_monitor.run()
    except NotUsable as error:
        raise click.ClickException(str(error)) from error
