"""A channel to a Redis that is full keeps what it has been given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kombu
import pytest
import redis
from celery import Celery
from kombu import Queue
from redis.exceptions import OutOfMemoryError

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.seams.redis import client_of
from cadasta.workertoolbox.transports.connection import Connection
from rig.servers.broker import Broker

pytestmark = pytest.mark.parametrize('broker', ['redis'], indirect=True)

MOST = 8


class Full:
    """A queue of messages, and the memory of the Redis that has them."""

    def __init__(self, connection: kombu.Connection) -> None:
        self.channel: Any = connection.default_channel
        self.client = client_of(self.channel)
        queue = Queue('full')(self.channel)
        queue.declare()
        with connection.Producer() as producer:
            for number in range(MOST):
                producer.publish({}, routing_key='full', headers={'id': f'{number}'})

    def set(self, is_full: bool) -> None:
        self.client.config_set('maxmemory', 1 if is_full else 0)

    def take(self) -> Any:
        return self.channel.basic_get('full')

    @property
    def noted(self) -> int:
        assert self.client.zcard('unacked_index') == self.client.hlen('unacked')
        return int(self.client.hlen('unacked'))


@pytest.fixture
def full(broker: Broker) -> Iterator[Full]:
    with Connection(broker.url, transport_options={'visibility_timeout': 300}) as connection:
        full = Full(connection)
        yield full
        full.set(False)


def test_what_is_not_noted_is_noted_later(full: Full, caplog: pytest.LogCaptureFixture) -> None:
    full.set(True)
    messages = [full.take() for _ in range(4)]
    assert full.noted == 0
    messages[0].ack()
    messages[1].reject()
    full.set(False)
    messages.append(full.take())
    assert full.noted == 3
    for message in messages[2:]:
        message.ack()
    assert full.noted == 0
    assert caplog.text.count('Redis does not note which messages this worker holds') == 1


def test_what_is_noted_is_acknowledged(full: Full) -> None:
    message = full.take()
    full.set(True)
    message.ack()
    assert full.noted == 0


def test_what_is_not_noted_goes_back(full: Full) -> None:
    full.set(True)
    messages = [full.take() for _ in range(3)]
    full.set(False)
    messages[0].reject(requeue=True)
    assert full.channel._size('full') == MOST - 2
    full.channel.close()
    assert full.client.llen('full') == MOST


def test_what_a_full_redis_does_not_take_back(full: Full, caplog: pytest.LogCaptureFixture) -> None:
    full.set(True)
    full.take()
    full.channel.close()
    assert 'Redis does not take back task 0. `toolbox lost` names it: ' in caplog.text


def test_messages_of_workers_that_were_killed(full: Full, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that consumes goes on. One that connects does not begin."""
    full.set(True)
    with pytest.raises(OutOfMemoryError):
        full.channel.qos.restore_visible(interval=1)
    full.channel.basic_consume('full', False, print, '1')
    full.channel.qos.restore_visible(interval=1)
    assert 'Redis does not give back the messages of workers that were killed: ' in caplog.text


def test_two_apps_with_keys_of_their_own(broker: Broker) -> None:
    """Each app of a process puts its tasks under its own prefix."""
    for prefix in ('prod.', 'test.'):
        app = Celery('export', set_as_current=False)
        app.config_from_object(Config(broker_url=broker.url, broker_transport_options={'global_keyprefix': prefix}))
        app.send_task('export.tick')
    with redis.Redis.from_url(broker.url) as client:
        assert [client.llen(f'{prefix}platform.fifo') for prefix in ('prod.', 'test.')] == [1, 1]
