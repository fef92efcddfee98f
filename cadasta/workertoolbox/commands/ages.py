"""Read ages that are given to commands: an option, and functions for the ``callback`` of others."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from .options import option


def ago(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Subtract an age from the present time.

    :raises click.BadParameter: where the value is no age.
    """
    age = length(ctx, param, value)
    return None if age is None else datetime.now(UTC) - age


def length(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    """Read an age.

    :raises click.BadParameter: where the value is no age.
    """
    from ..durations import length as read

    try:
        return None if value is None else read(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def newer_than_option(what: str) -> Any:
    """Declare the option ``--newer-than`` of a command that looks at the last day unless it is told otherwise.

    :param what: what the command shows, such as ``'Failures'``.
    """
    return option(
        '--newer-than',
        metavar='AGE',
        default='1d',
        show_default=True,
        callback=ago,
        help=f'{what} in this time: 15m, 2h, 3d.',
    )
