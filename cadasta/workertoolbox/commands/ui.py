"""The command ``celery toolbox ui``."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

# By whether the page has users.
_WARNINGS = {
    False: 'Warning: there is no authentication. Anyone who reaches this address can read it.',
    True: 'Warning: there is no encryption. Let only a proxy that has it reach this address.',
}


@click.command(cls=CeleryCommand)
@database_option
@option(
    '--host',
    default='127.0.0.1',
    show_default=True,
    help='Address to listen on. Without --users, anyone who reaches it can read the page.',
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
@option(
    '--url-prefix',
    metavar='PATH',
    default='/',
    show_default=True,
    help='Path below which the page is, such as /queue. A proxy passes it on.',
)
@option(
    '--trust-proxy',
    metavar='ADDRESS',
    multiple=True,
    help='Address of a proxy, or a network of proxies, such as 10.0.0.0/8; repeatable. The page believes what they say '
    'in X-Forwarded-For, and in the headers of --arguments-for.',
)
@option(
    '--users',
    metavar='FILE',
    help='Let only these users in, by HTTP Basic. Each line is NAME:HASH, with a hash that '
    'generate_password_hash of werkzeug.security made. A change of the file counts at once.',
)
@option('--show-arguments', is_flag=True, help='Show arguments, results and tracebacks of tasks.')
@option(
    '--arguments-for',
    metavar='HEADER=VALUE',
    multiple=True,
    help='Show them if a proxy of --trust-proxy sends this header with exactly this value, such as X-Role=operator; '
    'repeatable. The proxy must set or remove the header in each request.',
)
@option(
    '--access-log',
    is_flag=True,
    help='Print a line for each request, in the common log format. It has no query: people look for customers in it.',
)
@click.pass_context
@handle_preload_options
def ui(
    ctx: click.Context,
    database: str | None,
    host: str,
    port: int,
    allow_host: tuple[str, ...],
    url_prefix: str,
    trust_proxy: tuple[str, ...],
    users: str | None,
    show_arguments: bool,
    arguments_for: tuple[str, ...],
    access_log: bool,
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
    with usable_database(), _understood_settings():
        app = create_app(
            url,
            show_arguments,
            {*LOOPBACK, name, *allow_host} if is_private or allow_host else None,
            prefix=url_prefix,
            users=users,
            trusted_proxies=trust_proxy,
            arguments_for=arguments_for,
            access_log=sys.stdout if access_log else None,
        )
    # Set before anything is printed, because a reader of the output may end the process at once.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        if not is_private:
            click.echo(_WARNINGS[users is not None], err=True)
        click.echo(f'http://{name}:{port}{url_prefix.removesuffix("/")}/')
        # Without a proxy that is trusted, waitress takes the headers of proxies out of each request.
        create_server(app, sockets=[listener], clear_untrusted_proxy_headers=not trust_proxy, **_BOUNDS).run()


@contextmanager
def _understood_settings() -> Iterator[None]:
    from ..errors import SettingError

    try:
        yield
    except SettingError as error:
        raise click.UsageError(str(error)) from None
