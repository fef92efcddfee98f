"""Declare options of commands. Each can also be given by a variable in the environment."""

from typing import Any

import click
from celery.bin.base import CeleryOption

from ..settings.service_links import is_service_link


class _Option(CeleryOption):
    def value_from_envvar(self, ctx: click.Context) -> Any:
        value = self.resolve_envvar_value(ctx)
        if value is not None and is_service_link(str(self.envvar), value):
            return None
        return super().value_from_envvar(ctx)


def option(*names: str, **attributes: Any) -> Any:
    """Declare an option of a command.

    :param names: its names, and the name of the parameter where it differs. The long name gives that of the variable:
        ``--ready-file`` has ``TOOLBOX_READY_FILE``.
    :param attributes: other arguments of `click.option`.
    :returns: the decorator.
    """
    long = next(name for name in names if name.startswith('--'))
    variable = f'TOOLBOX_{long.removeprefix("--").upper().replace("-", "_")}'
    return click.option(*names, cls=_Option, envvar=variable, show_envvar=True, **attributes)
