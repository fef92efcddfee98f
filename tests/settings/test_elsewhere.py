"""A `Config` of an app that names its broker itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Queue

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import SettingError
from cadasta.workertoolbox.settings.elsewhere import Elsewhere
from cadasta.workertoolbox.topology import Topology, WorkQueue


def make_app(broker: str | None = None, **settings: Any) -> Celery:
    app = Celery('export', broker=broker, set_as_current=False)
    queues = {} if 'task_queues' in settings else {'QUEUES': ['export']}
    app.config_from_object(Config(**queues, **settings))
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


def test_an_app_that_is_configured_again_is_seen() -> None:
    app = Celery('export', broker='redis://localhost', set_as_current=False)
    app.config_from_object(Config(), force=True)
    assert transport(app)[0] == 'redis'
    app.config_from_object(Config(broker_transport='memory'))
    app.conf.update(broker_write_url='amqp://localhost')
    assert transport(app)[0] == 'memory'
    app.config_from_object({'broker_transport': 'filesystem'})
    app.conf.broker_url = 'amqp://localhost'
    assert transport(app) == ('filesystem', {})


def test_two_apps_with_one_config_have_a_broker_each() -> None:
    config = Config(QUEUES=['export'])
    apps = [Celery('export', broker=url, set_as_current=False) for url in ('amqp://localhost', 'redis://localhost')]
    for app in apps:
        app.config_from_object(config)
    assert [transport(app)[0] for app in apps] == ['amqp', 'redis']


def test_a_default_that_celery_asks_for_with_each_task_is_found_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """To send a task without this took a tenth longer."""
    app = make_app('memory://', result_backend=f'db+sqlite:///{tmp_path}/results.db')
    asked: list[str] = []

    def look(config: Config, name: str) -> Any:
        asked.append(name)
        return vars(config)[name]

    monkeypatch.setattr(Config, '__getitem__', look)
    for _ in range(2):
        asked.clear()
        app.backend.store_result(app.send_task('export.project').id, 1, 'SUCCESS')
    assert asked == []
    app.conf.task_always_eager = True
    assert app.conf.task_always_eager
    assert make_app('memory://', task_always_eager=True).conf.task_always_eager


def test_settings_of_the_broker_are_made_for_each_broker_once() -> None:
    conf = SimpleNamespace(changes={})
    asked: list[Mapping[str, Any]] = []

    def complete(urls: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(urls)
        return {'broker_transport': None, 'task_queues': set()}

    settings = Elsewhere({'QUEUES': ['export'], 'task_queues': {'export'}}, complete, conf)
    assert dict(settings) == {
        'QUEUES': ['export'],
        'broker_pool_acquire_timeout': None,
        'result_extended': False,
        'task_always_eager': False,
        'task_repr_maxlevels': 3,
        'task_send_sent_event': False,
    }
    for name in ('broker_transport', 'task_queues', 'task_default_queue'):
        with pytest.raises(KeyError, match=name):
            settings[name]
    conf.changes['broker_write_url'] = 'memory://'
    assert (settings['broker_transport'], settings['task_queues']) == (None, set())
    with pytest.raises(KeyError):
        settings['task_routes']
    assert asked == [{'broker_write_url': 'memory://'}]
    del conf.changes['broker_write_url']
    with pytest.raises(KeyError):
        settings['task_queues']


def test_an_app_iterates_the_settings_of_its_broker() -> None:
    app = make_app('redis://localhost')
    assert dict(app.conf)['broker_transport_options'] == app.conf.broker_transport_options
    assert 'visibility_timeout' in app.conf.broker_transport_options
    assert {'broker_transport', 'task_queues', 'task_routes', 'QUEUES'} <= set(app.conf)


@pytest.mark.parametrize('url', ['sqs://', 'amqp://localhost', 'redis://localhost'])
def test_messages_have_groups_on_amazon_sqs_alone(url: str) -> None:
    app = make_app(url)
    topologies = {getattr(route, '__self__', None) for route in app.amqp.routes}
    assert [topology.grouped for topology in topologies if isinstance(topology, Topology)] == [url == 'sqs://']
    assert {queue.topology for queue in app.amqp.queues.values() if isinstance(queue, WorkQueue)} <= topologies


def test_queues_from_an_iterator_are_read_once() -> None:
    queues = iter([Queue('export')])
    app = make_app('redis://localhost', task_queues=queues)
    assert 'export' in app.amqp.queues
