"""Which app is current, and what the suite and the check say where another app would get an app's tasks."""

from __future__ import annotations

import threading
import unittest
import weakref
from collections.abc import Iterator

import pytest
from celery import Celery, _state, current_app

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
    vars(_state._tls).clear()
    yield
    vars(_state._tls).clear()
    vars(_state._tls).update(kept)


def configured(name: str = 'export', **options: bool) -> Celery:
    app = Celery(name, **options)
    app.config_from_object(CONFIG)
    return app


def current() -> Celery:
    app: Celery = current_app._get_current_object()
    return app


def current_in_thread() -> Celery:
    found: list[Celery] = []
    thread = threading.Thread(target=lambda: found.append(current()))
    thread.start()
    thread.join()
    return found[0]


def test_the_only_app_with_a_config_is_current_everywhere() -> None:
    app = configured()
    assert current() is current_in_thread() is app
    Celery('other')
    assert current() is current_in_thread() is app
    assert not app.configured


def test_an_app_that_was_chosen_stays_current() -> None:
    configured()
    other = Celery('other')
    other.set_current()
    assert current() is other
    other.set_default()
    assert current_in_thread() is other


def test_the_default_app_is_current_in_threads() -> None:
    app, other = configured(), configured('other')
    app.set_default()
    assert current() is other
    assert current_in_thread() is app
    Celery('plain')
    assert current() is app


def test_celery_decides_where_there_is_no_app_with_a_config() -> None:
    app = Celery('plain')
    assert current() is app
    assert current_in_thread() is _state.default_app
    # Code that looks before Celery has made a default app.
    _state.default_app = None
    assert _state._tls.current_app is app


def test_an_app_that_does_not_want_to_be_current_is_not() -> None:
    app, plain = configured(set_as_current=False), Celery('plain')
    assert current() is plain
    with pytest.raises(
        NoCurrentApp, match=r"'export.project' was not sent.* a Config are 'export'. Call set_default()"
    ):
        current_in_thread().send_task('export.project')
    assert not app.configured


def test_nothing_is_sent_by_a_guess() -> None:
    app, other = configured('one'), configured('two')
    Celery('plain')
    assert current() is current_in_thread() is _state.default_app
    with pytest.raises(NoCurrentApp, match="Apps with a Config are 'one', 'two'"):
        current().send_task('export.project')
    # The default app of Celery works as ever once somebody has configured it.
    fallback = current()
    fallback.conf.broker_url = 'memory://'
    fallback.send_task('export.project', queue='of_the_fallback')
    with fallback.connection_for_write() as connection:
        assert connection.default_channel.queue_declare('of_the_fallback', passive=True).message_count == 1
    assert app.main, other.main


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
    unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app)).run(result)
    assert not result.errors
    return [text for _, text in result.failures]


def test_the_suite_finds_another_app_in_a_new_thread() -> None:
    app = configured()
    assert failures(app) == []
    Celery('crm').set_default()
    (text,) = failures(app)
    assert 'Rule 4: a task that names no app, such as a shared_task, is sent by this app.' in text
    assert "Seen:   it is sent by app 'crm', which has no Config" in text


def test_the_check_finds_another_app_in_a_new_thread() -> None:
    app = configured()
    Celery('crm').set_default()
    problems = [problem.where for finding in check(app, offline=True) for problem in finding.outcome.problems]
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
