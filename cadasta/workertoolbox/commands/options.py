"""Declare options of commands. Each can also be given by a variable in the environment."""

from typing import Any

import click
from celery.bin.base import CeleryOption


def option(*names: str, **attributes: Any) -> Any:
    """Declare an option of a command.

    :param names: its names, and the name of the parameter where it differs. The long name gives that of the variable:
        ``--ready-file`` has ``TOOLBOX_READY_FILE``.
    :param attributes: other arguments of `click.option`.
    :returns: the decorator.
    """
    long = next(name for name in names if name.startswith('--'))
    variable = f'TOOLBOX_{long.removeprefix("--").upper().replace("-", "_")}'
    return click.option(*names, cls=CeleryOption, envvar=variable, show_envvar=True, **attributes)
