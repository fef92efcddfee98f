"""The command ``celery toolbox tables``."""

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .options import option


@click.command(cls=CeleryCommand)
@database_option
@option('--sql', is_flag=True, help='Print the SQL, and open no connection.')
@option(
    '--worker-role',
    metavar='NAME',
    help='Let this role store results, and nothing else. A role that does not exist is created, without a password.',
)
@option(
    '--monitor-role',
    metavar='NAME',
    help='Let this role store tasks, and nothing else. A role that does not exist is created, without a password.',
)
@option(
    '--allow-pickle',
    is_flag=True,
    help='Let the table of results hold pickles, as workers with Celery 4 write them. Who reads one runs its code.',
)
@click.pass_context
@handle_preload_options
def tables(
    ctx: click.Context,
    database: str | None,
    sql: bool,
    worker_role: str | None,
    monitor_role: str | None,
    allow_pickle: bool,
) -> None:
    """Create or upgrade the tables of tasks and results, and the views that join them.

    Rerunning the command changes nothing, and two runs at a time wait for each other.
    """
    from ..database.upgrade import script, upgrade

    app = ctx.obj.app
    arguments = (
        database_of(app, database),
        app.conf.database_table_names,
        app.conf.database_table_schemas,
        worker_role,
        monitor_role,
        allow_pickle,
    )
    with usable_database():
        if sql:
            ctx.obj.echo(script(*arguments), nl=False)
        else:
            upgrade(*arguments)
