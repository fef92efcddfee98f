"""How options are declared: each has a variable in the environment, too."""

from typing import Any

import click
from celery.bin.base import CeleryOption


def option(*names: str, **attributes: Any) -> Any:
    """Declare an option of a command.

    :param names: its names, and the parameter's if it is another. That of its variable follows from the long one:
        ``--ready-file`` has ``TOOLBOX_READY_FILE``.
    :param attributes: all else that `click.option` takes.
    :returns: the decorator.
    """
    long = next(name for name in names if name.startswith('--'))
    variable = f'TOOLBOX_{long.removeprefix("--").upper().replace("-", "_")}'
    return click.option(*names, cls=CeleryOption, envvar=variable, show_envvar=True, **attributes)
