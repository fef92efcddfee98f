"""The command ``celery toolbox relay``."""

import click
from celery.bin.base import LOG_LEVEL, CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .logs import set_up_logging
from .options import option


@click.command(cls=CeleryCommand)
@database_option
@option('--once', is_flag=True, help='Stop when there is nothing left to publish.')
@option('-l', '--loglevel', type=LOG_LEVEL, default='INFO', show_default=True, help='Logging level.')
@click.pass_context
@handle_preload_options
def relay(ctx: click.Context, database: str | None, once: bool, loglevel: int) -> None:
    """Publish the tasks of the outbox that were committed, from the database that your application writes.

    SIGTERM and SIGINT end it once the messages at hand are published. Any number of relays may run at once.
    """
    from ..errors import NotConfigured
    from ..relay import Relay

    set_up_logging(ctx, loglevel)
    with usable_database():
        try:
            task_relay = Relay(ctx.obj.app, database_of(ctx.obj.app, database), once)
        except NotConfigured as error:
            raise click.ClickException(str(error)) from error
        with task_relay.stopped_by_signals():
            task_relay.run()
