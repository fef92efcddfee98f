"""Celery: the commands by which ``celery control`` tells a worker what to do."""

from collections.abc import Callable
from typing import Any

from celery.worker.control import Panel


def wrap_command(name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Change what the workers of this process do at a command.

    It uses ``celery.worker.control.Panel.data``, in which a worker looks a command up. The public ``control_command``
    adds a command, and gives nobody the one that had its name before.

    :param name: the name of the command.
    :param wrap: gets the function of the command, and gives another. It is called once for each name.
    """
    command = Panel.data[name]
    if not hasattr(command, 'is_wrapped'):
        Panel.data[name] = wrapped = wrap(command)
        wrapped.is_wrapped = True  # type: ignore[attr-defined]  # a function takes any attribute
