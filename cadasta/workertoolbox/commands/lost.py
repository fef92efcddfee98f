"""The command ``celery toolbox lost``."""

import json as json_module
from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .broker_options import management_option, usable_broker
from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..mending.lost import Losses, Suspect


@click.command(cls=CeleryCommand)
@database_option
@management_option
@option('--overdue', is_flag=True, help='Show also the tasks that are overdue, and why they are not proved to be lost.')
@option('--json', is_flag=True, help='Print a JSON document a line for each task, and for each dead-letter queue.')
@click.pass_context
@handle_preload_options
def lost(ctx: click.Context, database: str | None, management: str | None, overdue: bool, json: bool) -> None:
    """List the tasks that are lost, with the proof of each.

    A task that has not started is lost if its work queue holds no message at all, twice in a row. A task that has
    started is lost if its worker does not vouch for it any more. The command takes some seconds, because it asks the
    broker twice. It changes nothing.

    It prints a line a task, with tabs between its fields: id, state, routing key, name, proof. The exit code is 1 if
    any task is lost, or the broker has put messages into a dead-letter queue.
    """
    from ..mending.lost import Losses

    app = ctx.obj.app
    proved, doubtful = 0, 0
    with usable_database(), usable_broker(app), Losses(app, database_of(app, database), management) as losses:
        evidence = losses.gather()
        if evidence.doubt:
            click.echo(f'What has not started is not called lost: {evidence.doubt}', err=True)
        for suspect in losses.suspects(evidence):
            if suspect.proof:
                proved += 1
                _show(suspect, json)
        # There may be a million of them: so they are read again, and not kept.
        for suspect in losses.suspects(evidence) if overdue else ():
            if suspect.doubt:
                doubtful += 1
                _show(suspect, json)
    given_up = _show_dead_letters(losses, json)
    click.echo(f'{proved} lost{f", {doubtful} overdue" if overdue else ""}', err=True)
    ctx.exit(int(bool(proved or given_up)))


def _show(suspect: 'Suspect', as_json: bool) -> None:
    from ..terminal.safe_text import harmless
    from ..tracked.documents import document

    task = suspect.task
    if as_json:
        found: dict[str, Any] = {**document(task, False), 'lost': bool(suspect.proof)}
        found.update({'proof': suspect.proof} if suspect.proof else {'doubt': suspect.doubt})
        click.echo(json_module.dumps(found, default=lambda time: time.isoformat()))
        return
    why = suspect.proof or f'overdue: {suspect.doubt}'
    click.echo('\t'.join(map(harmless, (task.task_id, task.status, task.routing_key or '', task.name or '', why))))


def _show_dead_letters(losses: 'Losses', as_json: bool) -> int:
    for found in losses.dead_letters:
        if as_json:
            click.echo(json_module.dumps(found._asdict()))
        else:
            click.echo(f'{found.dead_letter_queue}\t{found.messages} dead letters of the queue {found.queue}')
    return len(losses.dead_letters)
