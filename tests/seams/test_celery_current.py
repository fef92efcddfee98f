"""The apps of a process and its default app, as Celery's own functions ask for them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, _state
from celery.app import app_or_default

from cadasta.workertoolbox.seams import celery_current


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kept = dict(vars(_state._tls))
    monkeypatch.setattr(_state, '_apps', weakref.WeakSet())
    monkeypatch.setattr(_state, 'default_app', None)
    vars(_state._tls).clear()
    yield
    vars(_state._tls).clear()
    vars(_state._tls).update(kept)


def current_in_thread() -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(app_or_default()))
    thread.start()
    thread.join()
    return found[0]


def test_celery_makes_an_app_for_a_thread() -> None:
    app = Celery('export')
    assert celery_current.default() is None
    fallback = current_in_thread()
    assert celery_current.default() is fallback
    assert celery_current.is_fallback(fallback)
    assert not celery_current.is_fallback(app)
    assert not celery_current.is_fallback(object())


def test_a_proxy_may_be_the_default_app() -> None:
    app = Celery('export', set_as_current=False)
    proxy = celery_current.proxy_for(lambda: app)
    celery_current.set_default(proxy)
    assert celery_current.default() is proxy
    assert current_in_thread() == app
    assert isinstance(current_in_thread(), Celery)


def test_all_apps_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery('export', set_as_current=False)
    assert celery_current.apps() == [app]

    class Growing(list[Celery]):
        is_read = False

        def __iter__(self) -> Iterator[Celery]:
            if not self.is_read:
                self.is_read = True
                raise RuntimeError('Set changed size during iteration')
            return super().__iter__()

    monkeypatch.setattr(_state, '_apps', Growing([app]))
    assert celery_current.apps() == [app]


def test_the_source_of_an_app_is_what_configures_it() -> None:
    source = {'broker_url': 'memory://'}
    app = Celery('export')
    assert celery_current.source_of(app) is None
    app.config_from_object(source)
    assert celery_current.source_of(app) is source
    assert not app.configured
    assert celery_current.loaded_by(app) is not source
    assert app.conf.broker_url == 'memory://'
    assert celery_current.loaded_by(app) is source
    assert celery_current.source_of(app) is source
    app.config_from_object(f'{__name__}:SOURCE')
    assert celery_current.source_of(app) is SOURCE


SOURCE = {'broker_url': 'memory://'}
