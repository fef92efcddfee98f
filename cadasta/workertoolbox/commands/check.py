"""The command ``celery toolbox check``."""

import json as json_module

import click
from celery.bin.base import CeleryCommand, CeleryOption, handle_preload_options


@click.command(cls=CeleryCommand)
@click.option('--offline', cls=CeleryOption, is_flag=True, envvar='TOOLBOX_OFFLINE', show_envvar=True,
              help='Judge the app alone: open no connection.')
@click.option('--producer', cls=CeleryOption, is_flag=True, envvar='TOOLBOX_PRODUCER', show_envvar=True,
              help='The app only sends tasks: make no worker of it.')
@click.option('--any-role', cls=CeleryOption, is_flag=True, envvar='TOOLBOX_ANY_ROLE', show_envvar=True,
              help="The app's role in the result database may do more than it must: a developer's own database, say.")
@click.option('--database', cls=CeleryOption, envvar='TOOLBOX_DATABASE', show_envvar=True, metavar='URL',
              help='Database that the monitor stores tasks in, to see whether it does.')
@click.option('--json', cls=CeleryOption, is_flag=True, envvar='TOOLBOX_JSON', show_envvar=True,
              help='Print one JSON document.')
@click.pass_context
@handle_preload_options
def check(
    ctx: click.Context, offline: bool, producer: bool, any_role: bool, database: str | None, json: bool,
) -> None:
    """Check the app, and the broker and databases that it uses. Nothing is changed by it.

    The exit code is 0 if nothing is wrong. An answer is waited for three seconds, and some are asked twice.
    """
    from ..check import check as findings_of
    from ..check import report
    from .output import console_of

    findings = findings_of(ctx.obj.app, not producer, offline, any_role, database)
    if json:
        document = report.document(findings)
        click.echo(json_module.dumps(document, indent=2))
        ctx.exit(int(not document['ok']))
    ctx.exit(int(not report.show(findings, console_of(ctx.obj))))
