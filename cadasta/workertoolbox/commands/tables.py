"""The command ``celery toolbox tables``."""

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .options import option


@click.command(cls=CeleryCommand)
@database_option
@option('--sql', is_flag=True, help='Print the SQL for an empty or older database, and open no connection.')
@option(
    '--worker-role',
    metavar='NAME',
    help='Let this role store results, and change its own. A role that does not exist is created, without a password.',
)
@option(
    '--monitor-role',
    metavar='NAME',
    help='Let this role store tasks, and nothing else. A role that does not exist is created, without a password.',
)
@option(
    '--janitor-role',
    metavar='NAME',
    help='Let this role read and delete tasks and results. A role that does not exist is created, without a password.',
)
@option(
    '--reader-role',
    metavar='NAME',
    help='Let this role look at tasks, and change nothing. A role that does not exist is created, without a password.',
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
    janitor_role: str | None,
    reader_role: str | None,
    allow_pickle: bool,
) -> None:
    """Create or upgrade the tables of tasks and results, and the views that join them.

    Rerunning the command changes nothing, and two runs at a time wait for each other.

    In PostgreSQL, it holds up nobody who uses the tables. If somebody is in the way of a change for three seconds, it
    gives up, and names these sessions. Run it again then.
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
        janitor_role,
        reader_role,
    )
    with usable_database():
        if sql:
            ctx.obj.echo(script(*arguments), nl=False)
        else:
            upgrade(*arguments)
