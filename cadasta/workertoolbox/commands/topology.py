"""The command ``celery toolbox topology``."""

import click
from celery.bin.base import CeleryCommand, CeleryOption, handle_preload_options


@click.command(cls=CeleryCommand)
@click.option('--format', 'format_', cls=CeleryOption, type=click.Choice(['text', 'mermaid', 'dot', 'svg']),
              default='text', show_default=True, envvar='TOOLBOX_FORMAT', show_envvar=True,
              help='Text for a terminal or, where it is piped, for programs; the others are for documents.')
@click.pass_context
@handle_preload_options
def topology(ctx: click.Context, format_: str) -> None:
    """Show exchanges, queues and bindings, and which task goes where.

    Tasks are routed as the app itself would route them. No connection is opened.
    """
    from ..conformance.loading import TaskModuleError
    from ..picture import FORMATS, NotConfigured, picture_of, text
    from .output import console_of

    try:
        picture = picture_of(ctx.obj.app)
    except (NotConfigured, TaskModuleError) as error:
        raise click.ClickException(str(error)) from error
    console = console_of(ctx.obj)
    if format_ != 'text':
        click.echo(FORMATS[format_](picture))
    elif console.is_terminal:
        text.show(picture, console)
    else:
        click.echo('\n'.join(text.lines(picture)))
