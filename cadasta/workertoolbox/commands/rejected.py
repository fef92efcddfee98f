"""The command ``celery toolbox rejected``."""

import json as json_module
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

import click
from celery import Celery
from celery.bin.base import CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..monitor.rejected import RejectedMessage, RejectedMessages


@click.command(cls=CeleryCommand)
@click.argument('digest', metavar='[DIGEST]', default='')
@database_option
@option('--resend', is_flag=True, help='Publish them to the platform queue again, as they were.')
@option('--forget', is_flag=True, help='Delete them from the table; with --resend, those that were published.')
@option('--json', is_flag=True, help='Print a JSON document a line for each message.')
@option('--yes', is_flag=True, help='Do it. Without it, the command shows what it would resend or forget.')
@click.pass_context
@handle_preload_options
def rejected(
    ctx: click.Context, digest: str, database: str | None, resend: bool, forget: bool, json: bool, yes: bool
) -> None:
    """List the messages that the monitor could not read, the one that came last first.

    With a DIGEST, or the beginning of one, the command shows this message whole, with its arguments. --resend and
    --forget concern this message alone then, and otherwise all of them.

    A message that is resent goes to the platform queue alone, so no worker runs its task again. That makes sense after
    an upgrade of a monitor that can now read it. If the monitor still cannot, the message comes back to the table.

    In a pipe, the list has a line for each message, with tabs between its fields: last seen, digest, routing key, id,
    name, reason.
    """
    from ..monitor.rejected import RejectedMessages

    with usable_database(), RejectedMessages(database_of(ctx.obj.app, database)) as messages:
        if digest:
            chosen = [_one(messages, digest)]
            if not (resend or forget):
                _show_whole(messages, chosen[0], json)
                return
        elif resend or forget:
            chosen = list(messages.find())
        else:
            _list(ctx, messages, json)
            return
        verbs = ' and '.join(verb for verb, is_given in (('resent', resend), ('forgotten', forget)) if is_given)
        if yes:
            failed = _act(messages, chosen, ctx.obj.app if resend else None, forget)
            click.echo(f'{len(chosen) - failed} {verbs}', err=True)
            ctx.exit(int(failed > 0))
        for message in chosen:
            click.echo(f'{message.digest}\t{message.reason}')
        click.echo(f'{len(chosen)} would be {verbs}: repeat the command with --yes', err=True)


def _one(messages: 'RejectedMessages', digest: str) -> 'RejectedMessage':
    found = list(messages.find(digest))
    if not found:
        raise click.ClickException(f'No rejected message has a digest that begins with {digest!r}')
    if len(found) > 1:
        raise click.ClickException(f'The digests of {len(found)} messages begin with {digest!r}: give more of it')
    return found[0]


def _show_whole(messages: 'RejectedMessages', message: 'RejectedMessage', as_json: bool) -> None:
    from ..terminal.safe_text import harmless

    whole = messages.message(message.digest).decode(errors='backslashreplace')
    document = {**message._asdict(), 'message': whole}
    if as_json:
        click.echo(json_module.dumps(document, default=datetime.isoformat))
    else:
        for name, value in document.items():
            text = value.isoformat(timespec='seconds') if isinstance(value, datetime) else value or ''
            click.echo(f'{name}\t{harmless(text)}')


def _list(ctx: click.Context, messages: 'RejectedMessages', as_json: bool) -> None:
    from ..terminal.listing import Column, show
    from ..terminal.output import make_console

    if as_json:
        for message in messages.find():
            click.echo(json_module.dumps(message._asdict(), default=datetime.isoformat))
        return
    console = make_console(ctx.obj.no_color)
    columns = [
        Column('LAST', lambda message: message.last_seen),
        Column('DIGEST', lambda message: message.digest, shrinks=True),
        Column('QUEUE', lambda message: message.routing_key, shrinks=True),
        Column('ID', lambda message: message.task_id, is_wide=True, shrinks=True),
        Column('NAME', lambda message: message.name, is_wide=True, shrinks=True),
        Column('REASON', lambda message: message.reason, shrinks=True),
    ]
    show(console, columns, messages.find())


def _act(messages: 'RejectedMessages', chosen: 'list[RejectedMessage]', app: Celery | None, is_forgotten: bool) -> int:
    from ..errors import Unreadable
    from ..monitor.rejected import PlatformQueue

    failed = 0
    with ExitStack() as stack:
        queue: PlatformQueue | None = None if app is None else stack.enter_context(PlatformQueue(app))
        for message in chosen:
            try:
                if queue is not None:
                    queue.publish(messages.message(message.digest))
            except Unreadable as error:
                failed += 1
                click.echo(f'{message.digest}\tcannot be published: {error}', err=True)
                continue
            if is_forgotten:
                messages.forget(message.digest)
            click.echo(message.digest)
    return failed
