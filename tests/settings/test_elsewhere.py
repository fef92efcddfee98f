"""A `Config` of an app that names its broker itself."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import SettingError
from cadasta.workertoolbox.settings.elsewhere import Elsewhere


def make_app(broker: str | None = None, **settings: Any) -> Celery:
    app = Celery('export', broker=broker, set_as_current=False)
    app.config_from_object(Config(QUEUES=['export'], **settings))
    return app


def transport(app: Celery) -> tuple[str, dict[str, Any]]:
    connection = app.connection_for_write()
    return connection.get_transport_cls().driver_type, app.conf.broker_transport_options


def test_nothing_changes_for_an_app_that_names_no_broker() -> None:
    app = make_app()
    assert app.conf.broker_transport == 'sqs'
    assert app.conf.broker_transport_options == Config(QUEUES=['export']).broker_transport_options


@pytest.mark.parametrize('given', [{}, {'broker_url': 'redis://localhost'}])
def test_the_app_comes_before_its_config(given: dict[str, str]) -> None:
    kind, options = transport(make_app('amqp://localhost', **given))
    assert kind == 'amqp'
    assert options['confirm_publish']
    assert 'visibility_timeout' not in options


def test_options_that_the_config_was_given_are_kept() -> None:
    kind, options = transport(make_app('redis://localhost', broker_transport_options={'visibility_timeout': 7}))
    assert (kind, options['visibility_timeout']) == ('redis', 7)


def test_a_broker_that_is_named_later_is_seen_each_time() -> None:
    app = make_app()
    assert transport(app)[0] == 'sqs'
    app.conf.broker_url = 'redis://localhost'
    assert transport(app)[0] == 'redis'
    app.conf.broker_url = 'amqp://localhost'
    assert transport(app)[0] == 'amqp'
    app.conf.broker_transport_options = {'confirm_publish': False}
    assert transport(app) == ('amqp', {'confirm_publish': False})


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CELERY_BROKER_URL', 'redis://localhost')
    kind, options = transport(make_app('amqp://localhost'))
    assert kind == 'redis'
    assert 'visibility_timeout' in options


def test_a_url_that_cannot_be_read_is_an_error() -> None:
    app = make_app()
    app.conf.broker_url = 'redis://local host:x'
    with pytest.raises(SettingError, match='broker_url'):
        app.connection_for_write()


def test_two_apps_with_one_config_have_a_broker_each() -> None:
    config = Config(QUEUES=['export'])
    apps = [Celery('export', broker=url, set_as_current=False) for url in ('amqp://localhost', 'redis://localhost')]
    for app in apps:
        app.config_from_object(config)
    assert [transport(app)[0] for app in apps] == ['amqp', 'redis']


def test_it_is_a_mapping() -> None:
    own: dict[str, str] = {}
    settings = Elsewhere({'QUEUE_NAME_PREFIX': 'dev'}, lambda: own)
    assert len(settings) == 0
    own['broker_write_url'] = 'memory://'
    assert len(settings) == 2
    assert set(settings) == {'broker_transport', 'broker_transport_options'}
    assert 'task_queues' not in settings
