"""How long a program waits until RabbitMQ has confirmed a message, beside a connection that reads nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from amqp import AccessRefused
from kombu.transport import pyamqp

from cadasta.workertoolbox import NotConfirmed
from cadasta.workertoolbox.check.rabbitmq import takes_no_messages
from cadasta.workertoolbox.transports import amqp

TASK, EVENT = (SimpleNamespace(properties={'delivery_mode': mode}) for mode in (2, 1))


class Network:
    """A clock, and what comes over the network: after how many seconds, and what it does. Then come heartbeats."""

    def __init__(self) -> None:
        self.now = 0.0
        self.frames: list[tuple[float, Callable[[], Any]]] = []

    def monotonic(self) -> float:
        return self.now

    def read(self, timeout: float | None) -> bool:
        seconds, act = self.frames.pop(0) if self.frames else (1, bool)
        if timeout is not None and seconds > timeout:
            self.now += timeout
            raise TimeoutError
        self.now += seconds
        return bool(act())


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr(amqp, 'time', network)

    def wait(self: Any, message: Any, exchange: str) -> str:
        self.sent += 1
        while not self.connection.blocking_read():
            pass
        return 'confirmed'

    monkeypatch.setattr(pyamqp.Connection, 'blocking_read', lambda self, timeout=None: network.read(timeout))
    monkeypatch.setattr(pyamqp.Connection, 'drain_events', lambda self, timeout=None: network.read(timeout))
    monkeypatch.setattr(pyamqp.Channel, '__init__', lambda self, connection: setattr(self, 'connection', connection))
    monkeypatch.setattr(pyamqp.Channel, 'basic_publish_confirm', wait)
    return network


def channel_of(connection: amqp.Connection) -> Any:
    channel = amqp.Channel(connection)
    channel.sent = 0
    return channel


def test_heartbeats_do_not_prolong_the_wait(network: Network) -> None:
    with pytest.raises(NotConfirmed, match='within 30 s, although it answers'):
        channel_of(amqp.Connection()).basic_publish_confirm(TASK, 'tasks')
    assert network.now == 30


def test_each_call_may_have_its_own_limit(network: Network) -> None:
    connection = amqp.Connection(confirm_timeout=7)
    channel = channel_of(connection)
    for seconds, options in ((7, {}), (3, {'confirm_timeout': 3}), (7, {'confirm_timeout': None})):
        with pytest.raises(NotConfirmed, match=f'within {seconds} s'):
            channel.basic_publish_confirm(TASK, 'tasks', **options)
    network.frames = [(6, lambda: True)]
    assert channel.basic_publish_confirm(TASK, 'tasks') == 'confirmed'
    # Later reads have no limit.
    network.now += 100
    assert connection.blocking_read() is False


def test_silence_is_an_error_of_the_connection_unless_it_is_blocked(network: Network) -> None:
    network.frames = [(99, bool)]
    with pytest.raises(TimeoutError):
        channel_of(amqp.Connection(read_timeout=10)).basic_publish_confirm(TASK, 'tasks')
    assert network.now == 10
    connection = amqp.Connection(read_timeout=10)
    network.frames = [(1, lambda: connection.on_blocked('memory')), (15, bool), (99, bool)]
    with pytest.raises(NotConfirmed, match='short of memory or disk space'):
        channel_of(connection).basic_publish_confirm(TASK, 'tasks')
    assert network.now == 40


def test_a_limit_of_py_amqp_is_left_alone(network: Network) -> None:
    network.frames = [(5, bool)]
    connection = amqp.Connection()
    with connection.bounded(None), pytest.raises(TimeoutError):
        connection.blocking_read(timeout=2)
    assert network.now == 2


def test_celery_connects_again_where_rabbitmq_has_closed_the_channel() -> None:
    channel = amqp.Channel(amqp.Connection(), 1)
    # The client does this when a channel ends.
    channel.collect()
    with pytest.raises(amqp.Transport.recoverable_connection_errors, match='already closed'):
        channel.basic_publish_confirm(TASK, 'tasks')


def test_an_app_may_hear_of_it_as_well(network: Network) -> None:
    heard: list[str] = []
    connection = amqp.Connection(on_blocked=heard.append, on_unblocked=lambda: heard.append('over'))
    connection.on_blocked('memory')
    connection.on_unblocked()
    assert heard == ['memory', 'over']


@pytest.mark.parametrize(('message', 'exchange'), [(EVENT, 'celeryev'), (TASK, 'celery.pidbox')])
def test_celerys_own_messages_are_dropped(network: Network, message: Any, exchange: str) -> None:
    connection = amqp.Connection()
    channel = channel_of(connection)
    network.frames = [(1, lambda: connection.on_blocked('memory'))]
    for _ in range(3):
        assert channel.basic_publish_confirm(message, exchange) is None
    assert channel.sent == 1
    # The confirm of the first would be taken for that of a task.
    with pytest.raises(amqp.Transport.recoverable_connection_errors):
        channel.basic_publish_confirm(TASK, 'tasks')
    network.frames = [(0, connection.on_unblocked), (1, lambda: True)]
    assert channel.basic_publish_confirm(message, exchange) == 'confirmed'


@pytest.mark.parametrize(
    ('directly', 'is_eager', 'waits'), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_a_task_of_a_worker_waits(
    network: Network, monkeypatch: pytest.MonkeyPatch, directly: bool, is_eager: bool, waits: bool
) -> None:
    request = SimpleNamespace(called_directly=directly, is_eager=is_eager)
    monkeypatch.setattr(amqp, 'current_task', SimpleNamespace(request=request))
    connection = amqp.Connection()
    network.frames = [(1, lambda: connection.on_blocked('memory')), *[(1, bool)] * 99, (1, lambda: True)]
    channel = channel_of(connection)
    if waits:
        assert channel.basic_publish_confirm(TASK, 'tasks') == 'confirmed'
    else:
        with pytest.raises(NotConfirmed):
            channel.basic_publish_confirm(TASK, 'tasks')


def test_a_user_who_may_not_ask_hears_of_no_alarm() -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AccessRefused

    channel = SimpleNamespace(prepare_message=bytes, basic_publish=refuse)
    probe = SimpleNamespace(channel=lambda: channel, channel_errors=(AccessRefused,))
    assert not takes_no_messages(SimpleNamespace(clone=lambda: nullcontext(probe)))  # type: ignore[arg-type]  # a stand-in
