"""Celery: the routes of ``task_routes``."""

import re
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.app.routes import Router, prepare


class OwnRoutes:
    """The routes of an app, as its ``task_routes`` gives them.

    It uses ``prepare``, which Celery calls for that setting, and ``Router.lookup_route``, which asks one route after
    the other. Both have no leading underscore, but they are described among Celery's internals alone.

    :param task_routes: the value of the setting. Celery wants a list of pairs inside another list; here it may also
        stand alone.
    :raises TypeError: where it is no route, and no list of routes.
    :raises ValueError: where a list has something else than pairs of a pattern and a route.

    >>> routes = OwnRoutes({'legacy.*': 'export', 'report.make': {'routing_key': 'msg', 'priority': 3}})
    >>> routes.chosen('legacy.project', (), {}, {}), routes.chosen('report.make', (), {}, {})
    ({'queue': 'export'}, {'routing_key': 'msg', 'priority': 3})
    >>> routes.chosen('msg.send', (), {}, {})
    {}
    """

    def __init__(self, task_routes: Any) -> None:
        self._routes = prepare((task_routes,) if _is_list_of_pairs(task_routes) else task_routes)
        for route in self._routes:
            if not callable(route) and not hasattr(route, 'route_for_task'):
                raise TypeError(f'{route!r} is no route')
        self._router = Router(self._routes)

    def __bool__(self) -> bool:
        return bool(self._routes)

    def chosen(self, name: str, args: Any, kwargs: Any, options: dict[str, Any], task: Any = None) -> dict[str, Any]:
        """Ask the routes for a task.

        :param name: its name.
        :param args: its arguments.
        :param kwargs: its keyword arguments.
        :param options: the options of the call.
        :param task: the task itself, where the app has it.
        :returns: the options that the first route chose that knows the task. They are empty where none does.
        """
        route = self._router.lookup_route(name, args, kwargs, options, task)
        return {'queue': route} if isinstance(route, str) else dict(route or {})


def route_that_raised(error: BaseException) -> Callable[[Any, Any], Any] | None:
    """Find the route that raised an error, and return a function that asks it again about the same task.

    It uses ``Router.query_router``, which asks a route, and the names of its arguments. Celery does not say which route
    has raised an error.

    :param error: the error, with its traceback.
    :returns: the function, which takes other arguments of the task. `None` if no route has raised the error.
    """
    asked = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code is _QUERY.__code__]
    if not asked:
        return None
    # The route of a Config asks the routes of the app, so the last one has raised the error.
    known = asked[-1].f_locals
    return partial(_asked_again, known['self'], known['router'], known['task'], known['options'], known['task_type'])


_QUERY = Router.query_router


def _asked_again(router: Any, route: Any, name: str, options: Any, task: Any, args: Any, kwargs: Any) -> Any:
    return router.query_router(route, name, args, kwargs, dict(options or {}), task)


def _is_list_of_pairs(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_pair, value))


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], (str, re.Pattern))
