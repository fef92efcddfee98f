"""The suite and the check tell where another app than the current one would get an app's tasks."""

from __future__ import annotations

import threading
import unittest
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, _state
from celery.app import app_or_default

from cadasta.workertoolbox import apps
from cadasta.workertoolbox.apps import has_config, stray_app
from cadasta.workertoolbox.check import check
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import NoCurrentApp
from cadasta.workertoolbox.tests import build_functional_tests

CONFIG = Config(QUEUES=['export'], broker_url='memory://', result_backend='db+sqlite://')


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests of this file know of no apps but their own."""
    kept = dict(vars(_state._tls))
    monkeypatch.setattr(_state, '_apps', weakref.WeakSet())
    monkeypatch.setattr(_state, 'default_app', None)
    monkeypatch.setattr(apps, '_fallback', None)
    # An app without settings would look for RabbitMQ, which need not be there.
    monkeypatch.setenv('CELERY_BROKER_URL', 'memory://')
    vars(_state._tls).clear()
    yield
    vars(_state._tls).clear()
    vars(_state._tls).update(kept)


def configured(name: str = 'export', **options: bool) -> Celery:
    app = Celery(name, **options)
    app.config_from_object(CONFIG)
    return app


def current_in_thread() -> Celery:
    found: list[Celery] = []
    thread = threading.Thread(target=lambda: found.append(app_or_default()))
    thread.start()
    thread.join()
    return found[0]


def send(app: Celery) -> None:
    """Publishes as a shared task does, which has found this app."""
    app.send_task('export.project')


def test_the_only_app_with_a_config_is_the_default() -> None:
    apps.choose_default()
    app = configured()
    Celery('other')
    configured('quiet', set_as_current=False)
    apps.choose_default()
    assert current_in_thread() == app
    assert _state.default_app is app
    assert not app.configured
    send(current_in_thread())


def test_an_app_that_celery_made_in_the_meantime_is_replaced() -> None:
    before = current_in_thread()
    app = configured()
    assert current_in_thread() is before
    apps.choose_default()
    assert current_in_thread() == app


@pytest.mark.parametrize('make', [lambda: Celery('other'), lambda: object()])
def test_a_default_that_was_chosen_stays(make: Callable[[], Celery]) -> None:
    chosen = make()
    _state.set_default_app(chosen)
    configured()
    apps.choose_default()
    assert current_in_thread() is chosen


def test_an_app_that_celery_made_is_left_alone_once_it_has_settings() -> None:
    configured()
    fallback = current_in_thread()
    fallback.conf.update(broker_url='memory://', task_ignore_result=True)
    apps.choose_default()
    assert current_in_thread() is fallback
    send(fallback)


@pytest.mark.parametrize('is_there', [True, False])
def test_nothing_is_sent_by_a_guess(is_there: bool) -> None:
    if is_there:
        current_in_thread()
    apps.choose_default()
    app, other = configured('one'), configured('two')
    found = current_in_thread()
    assert current_in_thread() == found
    _state._tls.current_app = None
    with pytest.raises(NoCurrentApp, match=r"is none but one that Celery made. Apps with a Config are 'one', 'two'"):
        send(found)
    assert app.main, other.main


def test_an_app_that_does_not_want_to_be_current_is_not() -> None:
    apps.choose_default()
    app, other = configured(set_as_current=False), Celery('other')
    _state._tls.current_app = None
    with pytest.raises(NoCurrentApp, match=r"'export.project' was not sent.* are 'export'. Call set_default()"):
        send(current_in_thread())
    # Somebody may have meant this one.
    other.set_current()
    assert apps.refusal('export.project', other.thread_oid) is None
    assert not app.configured


def test_an_app_without_settings_that_was_made_later_sends_nothing() -> None:
    app, other = configured(), Celery('other')
    with pytest.raises(NoCurrentApp, match=r"is 'other', which has no settings. Apps with a Config are 'export'"):
        send(other)
    # Its caller has named it where another app is current.
    app.set_current()
    assert apps.refusal('export.project', other.thread_oid) is None


@pytest.mark.parametrize('options', [{'broker': 'memory://'}, {'set_as_current': False}])
def test_an_app_that_somebody_wants_sends(options: dict[str, Any]) -> None:
    configured()
    other = Celery('other', **options)
    other.set_current()
    assert apps.refusal('export.project', other.thread_oid) is None


def test_apps_without_a_config_are_left_alone() -> None:
    other = Celery('other')
    assert apps.refusal('export.project', other.thread_oid) is None


@pytest.mark.parametrize('source', ['tests.test_apps:CONFIG', 'tests.test_apps.CONFIG'])
def test_a_config_is_found_by_its_name(source: str) -> None:
    assert has_config(Celery('export', config_source=source))


@pytest.mark.parametrize(
    'source', [None, 'tests.test_apps', 'tests.no_such_module:CONFIG', {'broker_url': 'memory://'}]
)
def test_other_configurations_are_none(source: object) -> None:
    assert not has_config(Celery('export', config_source=source))


def test_a_config_is_found_after_it_was_read() -> None:
    app = configured()
    assert app.conf.QUEUES == ['export']
    assert has_config(app)
    app.config_from_object({'broker_url': 'memory://'})
    assert not has_config(app)


def failures(app: Celery) -> list[str]:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app, is_worker=False)).run(result)
    assert not result.errors
    return [text for _, text in result.failures]


def test_the_suite_finds_another_app_in_a_new_thread() -> None:
    app = configured()
    assert failures(app) == []
    Celery('crm', broker='memory://').set_default()
    (text,) = failures(app)
    assert 'Rule 4: a task that names no app, such as a shared_task, is sent by this app.' in text
    assert "Seen:   it is sent by app 'crm', which has no Config" in text


def test_the_check_finds_another_app_in_a_new_thread() -> None:
    app = configured()
    Celery('crm', broker='memory://').set_default()
    problems = [
        problem.where for finding in check(app, is_worker=False, offline=True) for problem in finding.outcome.problems
    ]
    assert problems == ['a new thread']


@pytest.mark.parametrize('is_current', [True, False])
def test_an_app_whose_config_was_copied_has_to_be_the_default(is_current: bool) -> None:
    app = Celery('export', set_as_current=is_current)
    app.conf.update(CONFIG)
    assert bool(stray_app(app)) is is_current
    app.set_default()
    assert not stray_app(app)


def test_an_error_in_a_new_thread_is_no_silence() -> None:
    app, other = configured(), configured('other')
    assert not stray_app(app)
    assert not stray_app(other)
