"""The command ``celery toolbox check``."""

import json as json_module

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from ..architecture import PLATFORM_QUEUE
from .options import option


@click.command(cls=CeleryCommand)
@option('--offline', is_flag=True, help='Judge the app alone, and open no connection.')
@option('--producer', is_flag=True, help='The app only sends tasks, so make no worker of it.')
@option(
    '--any-role',
    is_flag=True,
    help="Accept a role that may do more in the result database than it must, as on a developer's machine.",
)
@option('--database', metavar='URL', help='Database in which the monitor stores tasks, to see whether it does.')
@option(
    '--platform-queue',
    metavar='NAME',
    default=PLATFORM_QUEUE,
    show_default=True,
    help='Name of the platform queue, where your organisation has renamed it everywhere.',
)
@option(
    '--called-with-queue',
    metavar='PATTERN',
    multiple=True,
    help='Names of tasks whose every call names a queue, such as process-*. Give it once for each pattern.',
)
@option('--json', is_flag=True, help='Print one JSON document.')
@click.pass_context
@handle_preload_options
def check(
    ctx: click.Context,
    offline: bool,
    producer: bool,
    any_role: bool,
    database: str | None,
    platform_queue: str,
    called_with_queue: tuple[str, ...],
    json: bool,
) -> None:
    """Check the app, and the broker and databases that it uses. The command changes nothing.

    The exit code is 0 if nothing is wrong. The command waits three seconds for an answer, and asks some twice.
    """
    from ..check import check as findings_of
    from ..check import report
    from ..terminal.output import make_console

    findings = findings_of(ctx.obj.app, not producer, offline, any_role, database, platform_queue, called_with_queue)
    if json:
        document = report.document(findings)
        click.echo(json_module.dumps(document, indent=2))
        ctx.exit(int(not document['ok']))
    ctx.exit(int(not report.show(findings, make_console(ctx.obj.no_color))))
