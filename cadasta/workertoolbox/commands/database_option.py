"""The option for the database of a command, and the error for a database that the command cannot use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from celery import Celery

from ..settings.urls import is_database
from .options import option

#: The option ``--database``.
database_option: Callable[[Any], Any] = option(
    '--database',
    metavar='URL',
    help="PostgreSQL or SQLite database that has the tables.  [default: the app's result database]",
)


def database_of(app: Celery, given: str | None) -> str:
    """Find the URL of the database.

    :param app: the app of the command line.
    :param given: the value of ``--database``.
    :returns: the URL.
    :raises click.UsageError: where none was given and the app keeps its results elsewhere.
    """
    if given:
        return given
    backend = app.conf.result_backend
    if is_database(backend):
        return backend
    raise click.UsageError("The app's result_backend is no database: give --database or set TOOLBOX_DATABASE.")


@contextmanager
def usable_database() -> Iterator[None]:
    """End the command with an error that says what is wrong with the database.

    :raises click.ClickException: where it cannot be used or reached.
    """
    from sqlalchemy.exc import DBAPIError

    from ..database.faults import Fault, explained, fault_of
    from ..errors import NotUsable

    try:
        yield
    except NotUsable as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        fault = fault_of(error)
        what = 'cannot be reached' if fault is Fault.AWAY else fault.value
        raise click.ClickException(f'The database {what}: {explained(error)}') from error
