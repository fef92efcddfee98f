"""Which database a command works on."""

from collections.abc import Callable
from typing import Any

import click
from celery import Celery
from celery.bin.base import CeleryOption

#: The option ``--database``.
database_option: Callable[[Any], Any] = click.option(
    '--database', cls=CeleryOption, envvar='TOOLBOX_DATABASE', show_envvar=True, metavar='URL',
    help="PostgreSQL or SQLite database that has the tables.  [default: the app's result database]",
)


def database_of(app: Celery, given: str | None) -> str:
    """Find the URL of the database.

    :param app: the app of the command line.
    :param given: the value of ``--database``.
    :returns: the URL.
    :raises click.UsageError: where none was given and the app's results are not in a database.
    """
    if given:
        return given
    backend = app.conf.result_backend
    if isinstance(backend, str) and backend.startswith(('db+', 'database+')):
        return backend
    raise click.UsageError("The app's result_backend is no database: give --database or set TOOLBOX_DATABASE.")
