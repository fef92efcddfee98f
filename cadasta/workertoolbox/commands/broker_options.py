"""The option for RabbitMQ's management plugin, and the error for a broker that a command cannot use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from celery import Celery

from .options import option

#: The option ``--management``.
management_option: Callable[[Any], Any] = option(
    '--management',
    metavar='URL',
    help="URL of RabbitMQ's management plugin, such as http://user:password@host:15672. It tells how many messages "
    'consumers hold, which AMQP does not.',
)


@contextmanager
def usable_broker(app: Celery) -> Iterator[None]:
    """End the command with an error that says what is wrong with the broker, or with the app.

    :param app: the app of the command line.
    :raises click.ClickException: where the broker cannot be reached, or the app is not configured by a ``Config``.
    """
    from kombu.exceptions import OperationalError

    from ..errors import NotConfigured
    from ..monitor.sources import errors_of
    from ..settings.credentials import masked

    with app.connection_for_write() as connection:
        errors = (OperationalError, OSError, *errors_of(connection))
    try:
        yield
    except NotConfigured as error:
        raise click.ClickException(str(error)) from error
    except errors as error:
        raise click.ClickException(f'The broker cannot be reached: {masked(str(error))}') from error
