"""The command ``celery toolbox monitor``."""

import logging
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from celery.bin.base import LOG_LEVEL, CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .listening import listen
from .logs import set_up_logging
from .options import option

if TYPE_CHECKING:
    from ..monitor.tally import Tally

logger = logging.getLogger(__name__)


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
@option(
    '--metrics-port',
    type=click.IntRange(0, 65_535),
    help='Port that has the metrics for Prometheus at /metrics, and the health of the monitor at /healthz; 0 takes a '
    'free one.',
)
@option(
    '--metrics-host',
    default='127.0.0.1',
    show_default=True,
    help='Address to listen on for --metrics-port. Anyone who reaches the address can read the metrics.',
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
    metrics_port: int | None,
    metrics_host: str,
    loglevel: int,
) -> None:
    """Drain the platform queue, and store every scheduled task in the Task table.

    SIGTERM and SIGINT end it once the batch at hand is stored. Any number of monitors may run at once.
    """
    from ..monitor import Monitor
    from ..monitor.freed_memory import give_back

    give_back()
    set_up_logging(ctx, loglevel)
    with usable_database():
        task_monitor = Monitor(
            ctx.obj.app, database_of(ctx.obj.app, database), batch, linger, once, not no_arguments, ready_file
        )
        watched = nullcontext() if metrics_port is None else _watched(task_monitor.tally, metrics_host, metrics_port)
        with watched, task_monitor.stopped_by_signals():
            task_monitor.run()


def _watched(tally: 'Tally', host: str, port: int) -> AbstractContextManager[None]:
    from ..metrics.endpoint import serving
    from ..monitor.metrics import answers

    listener = listen(host, port, 'Change --metrics-port or --metrics-host.')
    address, port = listener.getsockname()[:2]
    logger.info('Metrics: port %d of %s', port, address)
    return serving(listener, answers(tally))
