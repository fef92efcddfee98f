"""The current app, as Celery's own functions ask for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, _state, shared_task

from cadasta.workertoolbox.seams import celery_current


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kept = dict(vars(_state._tls))
    monkeypatch.setattr(_state, '_apps', weakref.WeakSet())
    monkeypatch.setattr(_state, 'default_app', None)
    chooser = vars(_state._TLS)['current_app']
    vars(_state._tls).clear()
    yield
    _state._TLS.current_app = chooser
    vars(_state._tls).clear()
    vars(_state._tls).update(kept)


def test_celery_itself_sends_the_tasks_of_a_thread_astray() -> None:
    _state._TLS.current_app = None
    app = Celery('export')
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(celery_current.current()))
    thread.start()
    thread.join()
    assert found != [app]
    assert celery_current.is_fallback(found[0])


def test_each_app_that_becomes_current_is_noted() -> None:
    asked: list[tuple[Any, bool]] = []

    def choose(app: Celery | None, is_chosen: bool) -> Celery | None:
        asked.append((app, is_chosen))
        return app

    celery_current.choose_current(choose)
    assert _state._TLS.current_app is None
    celery_current.current()
    app = Celery('export')
    assert celery_current.current() is app
    app.set_current()
    assert celery_current.current() is app
    assert asked == [(None, False), (app, False), (app, True)]
    thread = threading.Thread(target=celery_current.current)
    thread.start()
    thread.join()
    assert asked[3:] == [(None, False)]


def test_a_shared_task_asks_each_time() -> None:
    one, two = Celery('one'), Celery('two')
    answers = iter([one, two])

    @shared_task(name='export.project')
    def project() -> None: ...

    celery_current.choose_current(lambda app, is_chosen: next(answers))
    assert project.app is one
    assert project.app is two


def test_the_app_that_celery_makes_is_known_until_somebody_configures_it() -> None:
    assert celery_current.default() is None
    fallback = celery_current.current()
    assert celery_current.default() is fallback
    assert celery_current.is_fallback(fallback)
    assert not celery_current.is_fallback(Celery('default'))
    fallback.conf.broker_url = 'memory://'
    assert not celery_current.is_fallback(fallback)


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
    assert app.conf.broker_url == 'memory://'
    assert celery_current.source_of(app) is source
    app.config_from_object(f'{__name__}:SOURCE')
    assert celery_current.source_of(app) is SOURCE


SOURCE = {'broker_url': 'memory://'}


class Source(dict[str, Any]):
    """A configuration that notes which apps it is about to configure, and adds defaults to them."""

    def __init__(self) -> None:
        super().__init__(broker_url='memory://')
        self.seen: list[list[Celery]] = []

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.append(celery_current.being_configured(self))
        for app in self.seen[-1]:
            celery_current.add_defaults(app, {'broker_url': 'memory://default', 'task_time_limit': 7})
        return super().get(name, default)


def test_a_configuration_learns_of_its_app_and_adds_defaults() -> None:
    other = Celery('other')
    app = Celery('export')
    source = Source()
    app.config_from_object(source)
    assert source.seen == []
    assert (app.conf.broker_url, app.conf.task_time_limit) == ('memory://default', 7)
    assert source.seen == [[app]]
    app.conf.task_time_limit = 8
    assert app.conf.task_time_limit == 8
    assert other.conf.task_time_limit is None


def test_a_configuration_learns_of_an_app_that_is_configured_again() -> None:
    app = Celery('export')
    assert app.conf.task_time_limit is None
    source = Source()
    app.config_from_object(source)
    assert app.conf.task_time_limit == 7
    # At first the app still has its old settings.
    assert source.seen == [[], [app]]
