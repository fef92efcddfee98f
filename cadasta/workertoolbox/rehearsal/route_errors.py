"""Tell what the errors of an app's routes are worth: the tests can only make up the arguments of a task."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import mock  # noqa: UP026  # the name by which users know it
from celery.exceptions import QueueNotFound

from ..seams.celery_routes import route_that_raised

#: More arguments than a route looks at.
_MANY = 20


class RouteError(Enum):
    """An error that a route of the app has raised."""

    #: It raises the error because it cannot use the arguments that were made up for the task.
    MADE_UP_ARGUMENTS = 1
    #: It raises an error whatever the arguments are.
    ALWAYS = 2


class Arguments(dict[str, Any]):
    """The keyword arguments of a task, under any name.

    :param value: the value of each.

    >>> arguments = Arguments(1)
    >>> arguments['project'], arguments.get('page'), 'page' in arguments
    (1, 1, True)
    """

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def __missing__(self, name: str) -> Any:
        return self._value

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, default: Any = None) -> Any:
        return self._value


def route_error(error: Exception) -> RouteError | None:
    """Tell whether a route of the app has raised an error, and ask it again with other arguments.

    :param error: the error that came when a task was sent.
    :returns: the kind of error, or `None` if no route has raised it. `QueueNotFound` says that a route has chosen a
        queue which is not there, and so it is none of these.
    """
    ask = None if isinstance(error, QueueNotFound) else route_that_raised(error)
    if ask is None:
        return None
    answers = any(_answers(ask, value) for value in (1, 'text', mock.MagicMock()))
    return RouteError.MADE_UP_ARGUMENTS if answers else RouteError.ALWAYS


def _answers(ask: Callable[[Any, Any], Any], value: Any) -> bool:
    try:
        ask([value] * _MANY, Arguments(value))
    except Exception:
        return False
    return True
