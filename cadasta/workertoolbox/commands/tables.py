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
@option(
    '--outbox',
    is_flag=True,
    help='Create the table of the outbox instead, in the database that your application writes.',
)
@option(
    '--producer-role',
    metavar='NAME',
    help='Let this role write into the outbox, and not read it. A role that does not exist is created, without a '
    'password.',
)
@option(
    '--relay-role',
    metavar='NAME',
    help='Let this role publish what is in the outbox. A role that does not exist is created, without a password.',
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
    outbox: bool,
    producer_role: str | None,
    relay_role: str | None,
) -> None:
    """Create or upgrade the tables of tasks and results, and the views that join them.

    Rerunning the command changes nothing, and two runs at a time wait for each other.

    With --outbox, it creates the table of the outbox and no other one. Your application writes it, and relays read it.

    In PostgreSQL, it holds up nobody who uses the tables. If somebody is in the way of a change for three seconds, it
    gives up, and names these sessions. Run it again then.
    """
    from ..database.upgrade import outbox_script, script, upgrade, upgrade_outbox

    app = ctx.obj.app
    url = database_of(app, database)
    arguments = (
        url,
        app.conf.database_table_names,
        app.conf.database_table_schemas,
        worker_role,
        monitor_role,
        allow_pickle,
        janitor_role,
        reader_role,
    )
    if outbox and any(arguments[3:]):
        raise click.UsageError('--outbox goes with --producer-role and --relay-role only: run the command twice.')
    if not outbox and (producer_role or relay_role):
        raise click.UsageError('--producer-role and --relay-role go with --outbox.')
    with usable_database():
        if sql:
            made = outbox_script(url, producer_role, relay_role) if outbox else script(*arguments)
            ctx.obj.echo(made, nl=False)
        elif outbox:
            upgrade_outbox(url, producer_role, relay_role)
        else:
            upgrade(*arguments)
