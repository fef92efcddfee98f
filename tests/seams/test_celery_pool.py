"""A worker tells what it runs, or is about to run, and how it starts the children of its pool."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, _state
from celery.concurrency import get_implementation
from celery.worker import WorkController, state

from cadasta.workertoolbox.seams import celery_pool
from cadasta.workertoolbox.seams.celery_pool import accepted, active, held, is_reserved, name_of, spawns


class Request:
    id = '1'


class Changing(set[Any]):
    """A set that another thread changes while it is read for the first time."""

    was_read = False

    def __iter__(self) -> Any:
        if not self.was_read:
            self.was_read = True
            raise RuntimeError('Set changed size during iteration')
        return super().__iter__()


def test_a_set_that_changes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request()
    monkeypatch.setattr(state, 'active_requests', Changing({request}))
    assert active() == {'1': request}


def test_requests() -> None:
    request = Request()
    state.active_requests.add(request)
    state.reserved_requests.add(request)
    try:
        assert active() == {'1': request}
        assert held() == 1
        assert (is_reserved('1'), is_reserved('2')) == (True, False)
    finally:
        state.active_requests.discard(request)
        state.reserved_requests.discard(request)


def test_a_task_that_waits_for_its_eta_is_held() -> None:
    request = Request()
    state.task_scheduled(request)
    try:
        assert held() == 1
    finally:
        state.scheduled_requests.discard(request)
    assert held() == 0


def test_tasks_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, 'all_total_count', [7])
    assert accepted() == 7


@pytest.mark.parametrize('name', ['prefork', 'threads', 'solo', 'gevent'])
def test_names_of_pools(name: str) -> None:
    assert name_of(object.__new__(get_implementation(name))) == name
    assert name_of(Request()) == __name__


@pytest.mark.parametrize('start_method', ['fork', 'spawn'])
@pytest.mark.parametrize('platform', ['fork', 'spawn'])
def test_children_may_be_new_processes(monkeypatch: pytest.MonkeyPatch, start_method: str, platform: str) -> None:
    app = Celery('seams', broker='memory://', set_as_current=False)
    # A worker forbids its process to wait for results.
    monkeypatch.setattr(_state, '_task_join_will_block', False)
    worker = WorkController(app=app, pool='solo', pool_start_method=start_method)
    monkeypatch.setattr(celery_pool, 'get_start_method', lambda: platform)
    assert spawns(worker) is ('spawn' in (start_method, platform))
