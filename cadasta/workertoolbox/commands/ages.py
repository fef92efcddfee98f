"""Read ages that are given to commands: functions for the ``callback`` of an option."""

from datetime import UTC, datetime, timedelta

import click


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
