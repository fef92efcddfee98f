"""The command ``celery toolbox tables``."""

import click
from celery.bin.base import CeleryCommand, CeleryOption, handle_preload_options

from .database import database_of, database_option


@click.command(cls=CeleryCommand)
@database_option
@click.option('--sql', cls=CeleryOption, is_flag=True, envvar='TOOLBOX_SQL', show_envvar=True,
              help='Print the SQL; the database is not contacted.')
@click.option('--worker-role', cls=CeleryOption, metavar='NAME', envvar='TOOLBOX_WORKER_ROLE', show_envvar=True,
              help='Let this role store results, and nothing else. It is created if need be, without a password.')
@click.option('--monitor-role', cls=CeleryOption, metavar='NAME', envvar='TOOLBOX_MONITOR_ROLE', show_envvar=True,
              help='Let this role store tasks, and nothing else. It is created if need be, without a password.')
@click.pass_context
@handle_preload_options
def tables(
    ctx: click.Context, database: str | None, sql: bool, worker_role: str | None, monitor_role: str | None,
) -> None:
    """Create or upgrade the tables of tasks and results and the view that joins them.

    Running it again, or twice at a time, does no harm.
    """
    from sqlalchemy.exc import DBAPIError

    from ..monitor.database import NotUsable
    from ..monitor.upgrade import script, upgrade

    app = ctx.obj.app
    arguments = (
        database_of(app, database), app.conf.database_table_names, app.conf.database_table_schemas,
        worker_role, monitor_role,
    )
    try:
        if sql:
            ctx.obj.echo(script(*arguments), nl=False)
        else:
            upgrade(*arguments)
    except NotUsable as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        raise click.ClickException(f'The database cannot be reached: {error.orig}') from error
