"""Somebody deletes queues, bindings or the exchange while a producer, a worker and a monitor live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from cadasta.workertoolbox import topology
from cadasta.workertoolbox.monitor import loop
from rig.servers.broker import PLATFORM_QUEUE, Broker

from .platform import Platform

EXCHANGE, QUEUE = 'task_exchange', 'once'
Deletions = dict[str, Callable[[], Any]]

pytestmark = pytest.mark.slow


def deletions_of(broker: Any) -> Deletions:
    """Everything that somebody may delete on a broker. The work queue comes last."""
    if broker.name == 'sqs':
        return {
            queue: lambda queue=queue: broker.client.delete_queue(QueueUrl=broker.queues()[queue])
            for queue in (PLATFORM_QUEUE, QUEUE)
        }
    if broker.name == 'redis':
        client = redis.Redis.from_url(broker.url)
        return {
            'everything': client.flushdb,
            'bindings': lambda: client.delete(f'_kombu.binding.{EXCHANGE}'),
            PLATFORM_QUEUE: lambda: client.delete(PLATFORM_QUEUE),
            QUEUE: lambda: client.delete(QUEUE),
        }

    def on_channel(method: str, *arguments: str) -> None:
        with broker.connect() as connection:
            getattr(connection.default_channel, method)(*arguments)

    return {
        'exchange': lambda: on_channel('exchange_delete', EXCHANGE),
        'binding of the platform queue': lambda: on_channel('queue_unbind', PLATFORM_QUEUE, EXCHANGE, '#'),
        'binding of the work queue': lambda: on_channel('queue_unbind', QUEUE, EXCHANGE, QUEUE),
        PLATFORM_QUEUE: lambda: on_channel('queue_delete', PLATFORM_QUEUE),
        QUEUE: lambda: on_channel('queue_delete', QUEUE),
    }


@pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)
def test_while_all_live(platform: Platform, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once, gate = platform.service, tmp_path / 'gate'
    # A producer of RabbitMQ would declare queues and bindings again after ten seconds.
    monkeypatch.setattr(topology, 'RENEWAL', 0)
    monkeypatch.setattr(loop, '_LONGEST_PAUSE', 0.5)
    worker = once.start('-Q', QUEUE, '-c', '1', settings={'worker_prefetch_multiplier': 1})

    def wait_until_tracked(*task_ids: str) -> None:
        once.wait_until(lambda: all(platform.is_tracked(task_id) for task_id in task_ids), 'the tasks to be tracked')

    def run_one(after: str) -> None:
        task_id = once.send('plain')
        once.wait_until(lambda: once.row(task_id) == 'SUCCESS', f'a task to run without {after}')
        wait_until_tracked(task_id)

    with platform.monitor():
        run_one('a deletion')
        deletions = deletions_of(broker)
        for name, delete in deletions.items():
            delete()
            run_one(name)
        runs = once.send('plain', str(gate))
        once.wait_until(lambda: once.count('begin', runs), 'the task to begin')
        waiting = {once.send('plain') for _ in range(4)}
        wait_until_tracked(runs, *waiting)
        deletions[QUEUE]()
        gate.touch()
        run_one('the messages of its queue')
    assert once.row(runs) == 'SUCCESS'
    missing = {task_id for task_id in waiting if once.row(task_id) != 'SUCCESS'}
    # The worker had received some of them.
    assert len(missing) >= 2
    if broker.name == 'amqp':
        # Without its management plugin, RabbitMQ does not tell what a worker holds.
        assert worker.stop() == 0
    platform.later()
    assert platform.lost() == missing
    assert platform.resend('--lost', '--yes').stderr == f'{len(missing)} sent\n'
    if broker.name == 'amqp':
        once.start('-Q', QUEUE, '-c', '1')
    for task_id in waiting:
        once.wait_for_state(task_id, 'SUCCESS')
    assert max(once.count('begin', task_id) for task_id in waiting) == 1
