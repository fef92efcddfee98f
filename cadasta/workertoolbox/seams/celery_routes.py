"""Celery: the routes of ``task_routes``."""

import re
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


def _is_list_of_pairs(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_pair, value))


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and isinstance(value[0], (str, re.Pattern))
