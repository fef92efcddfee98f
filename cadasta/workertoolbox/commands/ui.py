"""The command ``celery toolbox ui``."""

import signal
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import click
from celery.bin.base import CeleryCommand, handle_preload_options

from .database_option import database_of, database_option, usable_database
from .listening import listen
from .options import option

# A client that sends half of a request, or reads no answer, holds a connection and nothing else. After 20 seconds of
# silence it loses the connection. No page needs a request with a body.
_BOUNDS: dict[str, Any] = {
    'connection_limit': 500,
    'channel_timeout': 20,
    'cleanup_interval': 5,
    'max_request_header_size': 16 * 2**10,
    'max_request_body_size': 2**10,
}


@click.command(cls=CeleryCommand)
@database_option
@option(
    '--host',
    default='127.0.0.1',
    show_default=True,
    help='Address to listen on. The page has no authentication: anyone who reaches the address can read it.',
)
@option(
    '--port',
    type=click.IntRange(0, 65_535),
    default=8_642,
    show_default=True,
    help='Port to listen on; 0 takes a free one.',
)
@option(
    '--allow-host',
    metavar='NAME',
    multiple=True,
    help='Host name that the page answers to, such as that of a proxy; repeatable. Without it, a page on loopback '
    'answers to the names of this machine alone, and others to any name.',
)
@option('--show-arguments', is_flag=True, help='Show arguments, results and tracebacks of tasks.')
@click.pass_context
@handle_preload_options
def ui(
    ctx: click.Context,
    database: str | None,
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    show_arguments: bool,
) -> None:
    """Serve a page that shows scheduled tasks and their states. It only reads.

    SIGTERM and SIGINT end it.
    """
    try:
        from waitress.server import create_server

        from ..ui.app import LOOPBACK, create_app
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f'{error.name} is not installed. The page needs: pip install cadasta-workertoolbox[ui]'
        ) from error
    url = database_of(ctx.obj.app, database)
    listener = listen(host, port, 'Change --host or --port.')
    address, port = listener.getsockname()[:2]
    name = f'[{address}]' if ':' in address else address
    is_private = ip_address(address).is_loopback
    with usable_database():
        app = create_app(url, show_arguments, {*LOOPBACK, name, *allow_host} if is_private or allow_host else None)
    # Set before anything is printed, because a reader of the output may end the process at once.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        if not is_private:
            click.echo('Warning: there is no authentication. Anyone who reaches this address can read it.', err=True)
        click.echo(f'http://{name}:{port}/')
        create_server(app, sockets=[listener], **_BOUNDS).run()
