"""The command ``celery toolbox check``."""

import json as json_module

import click
from celery import Celery
from celery.bin.base import CeleryCommand, handle_preload_options

from ..architecture import PLATFORM_QUEUE
from ..errors import ToolboxError
from .broker_options import usable_broker
from .database_option import database_of, usable_database
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
@option(
    '--platform',
    is_flag=True,
    help='Judge the platform as a whole, in one line and with the exit codes of Nagios: 0, 1, 2, and 3 for unknown.',
)
@option(
    '--warn',
    type=click.FloatRange(0),
    metavar='SECONDS',
    default=60,
    show_default=True,
    help='With --platform: a delay of so many seconds is a warning.',
)
@option(
    '--crit',
    type=click.FloatRange(0),
    metavar='SECONDS',
    default=600,
    show_default=True,
    help='With --platform: a delay of so many seconds is critical.',
)
@option(
    '--outbox-database',
    metavar='URL',
    multiple=True,
    help='With --platform: another database that has an outbox, to see whether relays publish it. Give it once for '
    'each.',
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
    platform: bool,
    warn: float,
    crit: float,
    outbox_database: tuple[str, ...],
    json: bool,
) -> None:
    """Check the app, and the broker and databases that it uses. The command changes nothing.

    The exit code is 0 if nothing is wrong. The command waits three seconds for an answer, and asks some twice.

    With --platform, it does not look at the app. It says in one line whether the platform is well: how far the monitor
    is behind, which queues nobody consumes or do not move, which outboxes no relay publishes, and whether any task is
    lost, any message rejected, or any worker silent. Systems that watch others, such as Nagios, run this command.
    """
    if platform:
        ctx.exit(_judge(ctx.obj.app, database, warn, crit, outbox_database, json))
    from ..check import check as findings_of
    from ..check import report
    from ..terminal.output import make_console

    findings = findings_of(ctx.obj.app, not producer, offline, any_role, database, platform_queue, called_with_queue)
    if json:
        document = report.document(findings)
        click.echo(json_module.dumps(document, indent=2))
        ctx.exit(int(not document['ok']))
    ctx.exit(int(not report.show(findings, make_console(ctx.obj.no_color))))


def _judge(app: Celery, database: str | None, warn: float, crit: float, outboxes: tuple[str, ...], json: bool) -> int:
    from ..alarms import Limits, State, judge_platform

    try:
        with usable_database(), usable_broker(app):
            verdict = judge_platform(app, database_of(app, database), Limits(warn, crit), outboxes)
    except click.ClickException as error:
        # A broker or database that cannot be reached is away. Any other error is a mistake in the set-up of the check.
        is_away = isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, ToolboxError)
        state = State.CRITICAL if is_away else State.UNKNOWN
        text = ' '.join(error.message.split())
        document = {'state': state.name, 'problems': [{'state': state.name, 'text': text}]}
        click.echo(json_module.dumps(document, indent=2) if json else f'{state.name}: {text.replace("|", "/")}')
        return state
    click.echo(json_module.dumps(verdict.document, indent=2) if json else verdict.line)
    return verdict.state
