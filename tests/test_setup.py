"""`setup_app` sets an app up, or tells why it cannot."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from celery import Celery
from kombu.transport import memory

from cadasta.workertoolbox import setup
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.setup import setup_app


@pytest.fixture
def app() -> Celery:
    app = Celery('test', set_as_current=False)
    app.config_from_object(Config(['export'], broker_url='memory://', PLATFORM_QUEUE_NAME='setup.fifo'))
    return app


def test_a_worker_with_default_options_leaves_the_platform_queue(app: Celery) -> None:
    app.amqp.queues.select(None)
    setup_app(app, throw=True)
    assert set(app.amqp.queues.consume_from) == {'celery', 'export'}
    assert 'setup.fifo' in app.amqp.queues


def test_a_worker_keeps_the_queues_that_it_was_told(app: Celery) -> None:
    app.amqp.queues.select(['export'])
    setup_app(app, throw=True)
    assert set(app.amqp.queues.consume_from) == {'export'}


@pytest.mark.parametrize('throw', [True, False])
@pytest.mark.parametrize('selected', [['setup.fifo'], ['celery', 'export', 'setup.fifo']])
def test_a_worker_that_was_told_to_consume_the_platform_queue_refuses(
    app: Celery,
    selected: list[str],
    throw: bool,
) -> None:
    app.amqp.queues.select(selected)
    with pytest.raises(SystemExit, match=r"told to consume 'setup.fifo', .*without 'setup.fifo' in -Q"):
        setup_app(app, throw=throw)
    assert not app.is_set_up


def test_the_topology_is_declared(app: Celery) -> None:
    setup_app(app, throw=True)
    bindings = {(queue, exchange, key) for queue, exchange, key in memory.Transport.global_state.bindings}
    assert {('export', 'task_exchange', 'export'), ('setup.fifo', 'task_exchange', '#')} <= bindings


def test_chord_unlock_gives_up(app: Celery) -> None:
    setup_app(app)
    assert app.tasks['celery.chord_unlock'].max_retries == 43200


def test_a_limit_of_ones_own_is_kept(app: Celery) -> None:
    app.tasks['celery.chord_unlock'].max_retries = 3
    setup_app(app)
    assert app.tasks['celery.chord_unlock'].max_retries == 3


def broken(app: Celery) -> None:
    raise RuntimeError('broken')


def test_a_failing_function_is_logged_and_the_next_runs(
    app: Celery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(setup, 'SETUP_FUNCS', [broken, called.append])
    with caplog.at_level(logging.ERROR, logger='cadasta.workertoolbox.setup'):
        setup_app(app)
    assert [record.getMessage() for record in caplog.records] == ["Failed to run setup function 'broken'(app)"]
    assert caplog.records[0].exc_info is not None
    assert called == [app]
    assert app.is_set_up is False


def test_a_failing_function_raises_on_demand(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, 'SETUP_FUNCS', [broken])
    with pytest.raises(RuntimeError, match='broken'):
        setup_app(app, throw=True)
    assert app.is_set_up is False


def test_code_for_earlier_releases_may_give_it_by_its_position(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, 'SETUP_FUNCS', [broken])
    with pytest.raises(RuntimeError, match='broken'):
        setup_app(app, True)


@pytest.mark.long
def test_an_unreachable_broker_is_logged_without_credentials(caplog: pytest.LogCaptureFixture) -> None:
    app = Celery('test', set_as_current=False)
    app.config_from_object(Config(broker_url='amqp://guest:hush@127.0.0.1:1//', broker_connection_timeout=1))
    setup_app(app)
    assert app.is_set_up is False
    assert "Failed to run setup function 'declare_topology'(app)" in caplog.text
    assert 'hush' not in caplog.text
    assert set(app.amqp.queues.consume_from) == {'celery', 'msg', 'export'}
    assert app.tasks['celery.chord_unlock'].max_retries == 43200
