"""The command ``celery toolbox resend``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .ages import ago
from .broker_options import management_option, usable_broker
from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..mending.lost import Losses
    from ..mending.resending import Resending
    from ..tracked import Filter


@click.command(cls=CeleryCommand)
@click.argument('ids', metavar='[ID]...', nargs=-1)
@database_option
@management_option
@option('--lost', is_flag=True, help='Tasks that are lost, as the command lost proves it.')
@option('--failed', is_flag=True, help='Tasks that failed.')
@option(
    '--name', metavar='NAME', help='With --lost or --failed: tasks of this name, or whose names begin so, with a *.'
)
@option('--queue', metavar='KEY', help='With --lost or --failed: tasks of this routing key.')
@option(
    '--newer-than', metavar='AGE', callback=ago, help='With --lost or --failed: tasks first seen in this time: 15m, 2h.'
)
@option('--yes', is_flag=True, help='Send them. Without it, the command shows what it would send.')
@option('--force', is_flag=True, help='Send also tasks that were sent again three times already.')
@click.pass_context
@handle_preload_options
def resend(
    ctx: click.Context,
    ids: tuple[str, ...],
    database: str | None,
    management: str | None,
    lost: bool,
    failed: bool,
    yes: bool,
    force: bool,
    **conditions: Any,
) -> None:
    """Send tasks again that are lost or failed.

    Each is sent as it was: with its id, its arguments, its callbacks, and its place in its workflow. Where a task
    failed, the rest of its chain and the body of its chord are released, so that they can follow it.

    A task is refused that runs, waits, succeeded or expired, or whose message may still be in its queue. The exit code
    is 1 if any was refused.
    """
    from ..mending.lost import Losses
    from ..mending.message import NotSendable
    from ..mending.resending import Resending
    from ..terminal.safe_text import harmless
    from ..tracked import Filter

    where = Filter(**conditions)
    if (bool(ids), lost, failed).count(True) != 1 or (ids and where != Filter()):
        raise click.UsageError('Name the tasks by their ids, or by one of --lost and --failed with its conditions.')
    app = ctx.obj.app
    url = database_of(app, database)
    sent, refused = 0, 0
    with usable_database(), usable_broker(app):
        losses, sender = Losses(app, url, management), Resending(app, url, force)
        with losses, sender:
            for task_id, why_not in _chosen(losses, sender, ids, lost, where):
                try:
                    if why_not:
                        raise NotSendable(why_not)
                    parcel = sender.parcel(task_id)
                    if yes:
                        sender.send(parcel)
                except NotSendable as error:
                    refused += 1
                    click.echo(f'{task_id}\trefused: {error}', err=True)
                else:
                    sent += 1
                    click.echo(f'{task_id}\t{harmless(parcel.row.name)}')
            for task_id, name in sender.send_watches():
                sent += 1
                click.echo(f'{task_id}\t{harmless(name)}')
    click.echo(f'{sent} sent' if yes else f'{sent} would be sent: repeat the command with --yes', err=True)
    ctx.exit(int(bool(refused)))


def _chosen(
    losses: 'Losses', sender: 'Resending', ids: tuple[str, ...], lost: bool, where: 'Filter'
) -> Iterator[tuple[str, str]]:
    """List the ids of tasks, and why they are refused."""
    if lost:
        # All are found before any of them is sent.
        found = [suspect.task.task_id for suspect in losses.suspects(losses.gather(), where) if suspect.proof]
        yield from ((task_id, '') for task_id in found)
    elif not ids:
        yield from ((task_id, '') for task_id in sender.failed(where))
    else:
        from ..mending.resending import refusal

        suspects = {suspect.task.task_id: suspect for suspect in losses.suspects(losses.gather(), ids=ids)}
        standings = sender.standings(ids)
        for task_id in dict.fromkeys(ids):
            suspect = suspects.get(task_id)
            yield task_id, refusal(standings.get(task_id), suspect)
