"""The routes of `task_routes`, as Celery reads them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from celery import Celery
from celery.app.routes import Router, prepare

from cadasta.workertoolbox.seams.celery_routes import OwnRoutes, route_that_raised

ROUTES: list[Any] = [
    {'a.b': 'one', 'a.*': {'queue': 'two', 'priority': 3}, re.compile('c'): {'routing_key': 'three'}},
    ([('a.*', 'one'), ('*', {'queue': 'two'})],),
    [{'x': 'one'}, lambda name, args, kwargs, options, task=None: {'queue': f'{name}-{len(args)}'}],
    (),
    None,
]


@pytest.mark.parametrize('routes', ROUTES)
@pytest.mark.parametrize('name', ['a.b', 'a.c', 'c', 'd'])
def test_they_choose_what_celery_chooses(routes: Any, name: str) -> None:
    with Celery('seams', set_as_current=False) as app:
        app.conf.task_routes = routes
        celery = app.amqp.router.lookup_route(name, (1,), {}, {})
    # Celery reads a bare name later.
    expected = {'queue': celery} if isinstance(celery, str) else celery or {}
    assert OwnRoutes(routes).chosen(name, (1,), {}, {}) == expected


def test_pairs_may_stand_alone() -> None:
    assert OwnRoutes([('a.*', 'one'), (re.compile('c'), 'two')]).chosen('c', (), {}, {}) == {'queue': 'two'}


def test_there_may_be_none() -> None:
    assert [bool(OwnRoutes(routes)) for routes in (None, (), {}, [{}], 'a.router')] == [False, False, True, True, True]


class TestTheRouteThatRaised:
    def raised(self, *routes: Any) -> BaseException:
        with pytest.raises(ZeroDivisionError) as caught:
            Router(prepare(list(routes))).lookup_route('export.project', (), {'project': 0}, {'priority': 3}, 'a task')
        return caught.value

    def test_it_is_asked_again_about_the_same_task(self) -> None:
        def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None) -> Any:
            return {'queue': name, 'share': 1 / kwargs['project'], 'args': args, **options, 'task': task}

        ask = route_that_raised(self.raised({'msg.*': 'msg'}, route))
        assert ask is not None
        assert ask((1,), {'project': 2}) == {
            'queue': 'export.project',
            'share': 0.5,
            'args': (1,),
            'priority': 3,
            'task': 'a task',
        }

    def test_of_two_the_inner_one_is_asked(self) -> None:
        inner = Router(prepare(lambda name, args, kwargs, *rest, **kw: {'queue': 1 / kwargs['project']}))
        outer = inner.lookup_route
        ask = route_that_raised(self.raised(lambda *args, task: outer(*args) or {'queue': 'msg'}))
        assert ask is not None
        assert ask((), {'project': 1}) == {'queue': 1}

    def test_an_error_of_something_else(self) -> None:
        assert route_that_raised(ZeroDivisionError()) is None
