"""The command ``celery toolbox failures``."""

from datetime import datetime
from typing import TYPE_CHECKING

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .ages import newer_than_option
from .database_option import database_of, database_option, usable_database
from .options import option

if TYPE_CHECKING:
    from ..terminal.listing import Column

_UNKNOWN = '(unknown)'
_NOT_STORED = '(not stored)'


@click.command(cls=CeleryCommand)
@database_option
@newer_than_option('Failures')
@option('--by', type=click.Choice(['error', 'task']), help='Count by error alone, or by name of task alone.')
@option('--name', metavar='NAME', help='Tasks of this name. With a * at its end, tasks whose names begin so.')
@option('--queue', metavar='KEY', help='Tasks of this routing key.')
@option('--json', is_flag=True, help='Print a JSON document a line for each kind of failure.')
@option('--show-arguments', is_flag=True, help='Show the messages of errors too.')
@click.pass_context
@handle_preload_options
def failures(
    ctx: click.Context,
    database: str | None,
    newer_than: datetime,
    by: str | None,
    name: str | None,
    queue: str | None,
    json: bool,
    show_arguments: bool,
) -> None:
    """Count the tasks that failed, by name, error, and message with its numbers masked. Frequent failures come first.

    Two lines that look alike have different messages: --show-arguments shows them. RATE is the number in an hour, and
    EXAMPLE the id of the task that failed last. Tasks that were never sent are not counted.

    In a pipe, the command prints a line for each kind, with tabs between its fields: count, rate, first, last, example,
    name, error, message.
    """
    from ..terminal.listing import show
    from ..terminal.output import make_console
    from ..tracked import Filter, TrackedTasks
    from ..tracked.documents import dumped

    with usable_database(), TrackedTasks(database_of(ctx.obj.app, database)) as tracked:
        found = tracked.failures(newer_than, by, Filter(name=name, queue=queue))
    if json:
        for failure in found:
            click.echo(dumped(failure, show_arguments))
    else:
        show(make_console(ctx.obj.no_color), _columns(by, show_arguments), found)


def _columns(by: str | None, messages: bool) -> 'list[Column]':
    from ..terminal.listing import Column

    columns = [
        Column('COUNT', lambda failure: failure.count),
        Column('RATE', lambda failure: failure.rate, is_wide=True, unit='/h'),
        Column('FIRST', lambda failure: failure.first, is_wide=True),
        Column('LAST', lambda failure: failure.last),
        Column('EXAMPLE', lambda failure: failure.example),
    ]
    if by != 'error':
        columns.append(Column('NAME', lambda failure: failure.name or _NOT_STORED, shrinks=True))
    if by != 'task':
        columns.append(Column('ERROR', lambda failure: failure.error or _UNKNOWN, shrinks=True))
        if messages:
            columns.append(Column('MESSAGE', lambda failure: failure.message, shrinks=True))
    return columns
