"""Listen on a port, for the commands that serve something."""

import socket

import click


def listen(host: str, port: int, advice: str) -> socket.socket:
    """Open a socket that listens.

    :param host: the address, of IPv4 or IPv6, or a name of this machine.
    :param port: the port; 0 takes a free one.
    :param advice: which options to change if that is impossible.
    :raises click.ClickException: where it is impossible, as where another program has the port.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
    except OSError as error:
        raise click.ClickException(f'Cannot listen on {host}, port {port}: {error.strerror}. {advice}') from error
