"""Celery makes a task of these parts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, Task, shared_task
from celery.backends.base import DisabledBackend

from cadasta.workertoolbox.seams import celery_tasks
from rig.servers.memory import MemoryBroker


@pytest.fixture
def app() -> Iterator[Celery]:
    broker = MemoryBroker()
    with Celery('seams', broker='memory://', set_as_current=False) as app:
        yield app
    broker.close()


def run(project: int, page: int = 1) -> None: ...


def run_bound(self: Task, project: int) -> None: ...


def run_bare() -> None: ...


def injecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function its first argument."""

    @functools.wraps(function)
    def injected() -> Any:
        return function('a connection')

    return injected


class Listing(Task):
    name = 'listing'

    def run(self, project: int, *, page: int) -> None: ...


TASKS: dict[str, Callable[[Celery], Task]] = {
    'function': lambda app: app.task(run, shared=False),
    'bound': lambda app: app.task(run_bound, bind=True, shared=False),
    'retried automatically': lambda app: app.task(run, name='retried', autoretry_for=(OSError,), shared=False),
    'with fewer arguments than what it wraps': lambda app: app.task(injecting(run), shared=False),
    'without arguments': lambda app: app.task(run_bare, shared=False),
}
ARGUMENTS: list[tuple[list[Any], dict[str, Any]]] = [
    ([], {}),
    ([1], {}),
    ([], {'project': 1}),
    ([1, 2], {}),
    ([1], {'page': 2}),
    ([1, 2, 3], {}),
    ([], {'other': 1}),
]


def is_refused(call: Callable[..., Any], *args: Any) -> bool:
    try:
        call(*args)
    except TypeError:
        return True
    return False


@pytest.mark.parametrize('make', TASKS.values(), ids=TASKS.keys())
def test_a_signature_takes_what_apply_async_takes(app: Celery, make: Callable[[Celery], Task]) -> None:
    task = app.tasks[make(app).name]
    signature = celery_tasks.accepted(task)
    for args, kwargs in ARGUMENTS:
        refused = is_refused(lambda args, kwargs: signature.bind(*args, **kwargs), args, kwargs)
        assert refused == is_refused(task.apply_async, args, kwargs), (args, kwargs)


def test_the_signature_of_a_class_is_that_of_its_run(app: Celery) -> None:
    assert list(celery_tasks.accepted(app.register_task(Listing)).parameters) == ['project', 'page']


def test_a_task_without_a_backend_of_its_own() -> None:
    app = Celery('seams', backend='nonsense://', set_as_current=False)
    app.task(run, name='run', shared=False)
    task = app.tasks['run']
    assert celery_tasks.own_backend(task) is None
    with pytest.raises(ModuleNotFoundError):
        _ = task.backend


def test_a_backend_that_was_given_to_a_task(app: Celery) -> None:
    own = DisabledBackend(app)
    app.task(run, name='option', backend=own, shared=False)
    app.task(run, name='attribute', shared=False)
    app.tasks['attribute'].backend = own
    assert celery_tasks.own_backend(app.tasks['option']) is own
    assert celery_tasks.own_backend(app.tasks['attribute']) is own


def test_a_shared_task_is_told_from_one_of_an_app(app: Celery) -> None:
    shared = shared_task(run, name='shared')
    assert isinstance(shared, Task)
    assert celery_tasks.is_shared(shared)
    assert not celery_tasks.is_shared(app.task(run, shared=False))
    assert not celery_tasks.is_shared(None)


def test_a_bare_request() -> None:
    request = celery_tasks.bare_request('1', mark=5)
    assert (request.id, request.mark, request.chord, request.retries) == ('1', 5, None, 0)
