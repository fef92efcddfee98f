"""The command ``celery toolbox topology``."""

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .options import option


@click.command(cls=CeleryCommand)
@option(
    '--format',
    'format_',
    type=click.Choice(['text', 'mermaid', 'dot', 'svg']),
    default='text',
    show_default=True,
    help='Text for a terminal or, where it is piped, for programs; the others are for documents.',
)
@click.pass_context
@handle_preload_options
def topology(ctx: click.Context, format_: str) -> None:
    """Show exchanges, queues and bindings, and the queue of each task.

    The app's own routers choose the queues. The command opens no connection.
    """
    from ..diagram import FORMATS, diagram_of, text
    from ..errors import NotConfigured, TaskModuleError
    from ..terminal.output import make_console

    try:
        diagram = diagram_of(ctx.obj.app)
    except (NotConfigured, TaskModuleError) as error:
        raise click.ClickException(str(error)) from error
    console = make_console(ctx.obj.no_color)
    if format_ != 'text':
        click.echo(FORMATS[format_](diagram))
    elif console.is_terminal:
        text.show(diagram, console)
    else:
        click.echo('\n'.join(text.lines(diagram)))
