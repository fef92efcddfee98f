"""The routes of `task_routes`, as Celery reads them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from celery import Celery

from cadasta.workertoolbox.seams.celery_routes import OwnRoutes

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
