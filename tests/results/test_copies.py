"""Messages with one id: one of them runs, the others do not, whatever becomes of it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from celery import chord

from .service import Service

REFUSED = 'is not run: it runs on'
DROPPED = 'is not run: it ended before'


def only(*brokers: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize('broker', brokers, indirect=True)


@only('filesystem', 'redis', 'amqp', 'sqs')
def test_copies_wait_in_their_queue_and_are_dropped(once: Service, tmp_path: Path) -> None:
    """They come back when the lease of the run could be over, hold no process meanwhile, and are no new messages."""
    worker = once.start('-Q', 'once', '-c', '2', lease=3)
    gate, task_id = tmp_path / 'gate', uuid.uuid4().hex
    for name in ('late', 'late', 'plain'):
        once.send(name, str(gate), task_id=task_id)
    once.wait_until(lambda: worker.log.count(REFUSED) >= 3, 'a copy to come back')
    # Three children would be busy, and there are two.
    once.wait_for_state(once.send('plain'), 'SUCCESS')
    gate.touch()
    once.wait_for_state(task_id, 'SUCCESS')
    once.wait_until(lambda: worker.log.count(DROPPED) == 2, 'the copies to be dropped')
    assert once.count('begin', task_id) == 1
    assert once.row(task_id, 'runs, retries, replaced') == (1, 0, 0)
    # A second each, at least: a message that the broker puts back comes at once.
    assert worker.log.count(REFUSED) < 30
    assert [message.key.id for message in once.broker.drain('platform.fifo')].count(task_id) == 3


@only('redis')
@pytest.mark.parametrize('pool', ['threads', 'solo', 'gevent'])
def test_every_pool(once: Service, pool: str, tmp_path: Path) -> None:
    if pool == 'gevent':
        pytest.importorskip('gevent')
    worker = once.start('-Q', 'once', '-P', pool, '-c', '3', lease=3)
    task_id = uuid.uuid4().hex
    for _ in range(3):
        once.send('hooked', None, 2, task_id=task_id)
    once.wait_until(lambda: worker.log.count(DROPPED) == 2, 'the copies to be dropped')
    assert [once.count(event, task_id) for event in ('before_start', 'call', 'begin')] == [1, 1, 1]
    assert once.row(task_id) == 'SUCCESS'


@only('redis')
def test_what_celery_sends_again_runs(once: Service) -> None:
    """A retry, a replacement and the watch over a chord have the id of the task that sends them."""
    worker = once.start('-Q', 'once,celery', '-c', '2')
    for name, runs in (('retried', 3), ('again', 3), ('replaced', 2), ('hooked', 1)):
        task_id = once.send(name)
        once.wait_for_state(task_id, 'SUCCESS')
        assert once.count('begin', task_id) == once.row(task_id, 'runs') == runs
        assert once.at_once()[task_id] == 1
    header = [once.app.signature('once.plain', app=once.app) for _ in range(3)]
    result = chord(header, once.app.signature('once.total', app=once.app), app=once.app).apply_async()
    assert result.get(timeout=60) == 3
    assert 'Traceback' not in worker.log


@only('redis')
def test_a_copy_of_a_task_whose_replacement_waits(once: Service) -> None:
    """The lease of the first run ends long before the replacement starts."""
    worker = once.start('-Q', 'once', '-c', '2', lease=2)
    task_id = once.send('replaced', 8)
    once.wait_until(lambda: once.count('end', task_id), 'the task to be replaced')
    once.wait_until(lambda: once.row(task_id) == 'RETRY', 'the row to say so')
    assert once.row(task_id, 'lease') is None
    once.send('replaced', 8, task_id=task_id)
    once.wait_until(lambda: 'is not run: a later try of it was sent' in worker.log, 'the copy to be dropped')
    once.wait_for_state(task_id, 'SUCCESS')
    assert once.count('begin', task_id) == once.row(task_id, 'runs') == 2


@only('redis')
def test_a_message_that_its_task_gives_back_runs_at_once(once: Service, tmp_path: Path) -> None:
    worker = once.start('-Q', 'once', '-c', '1')
    task_id = once.send('rejected', str(tmp_path / 'flag'))
    once.wait_for_state(task_id, 'SUCCESS')
    assert once.row(task_id, 'runs') == 2
    assert REFUSED not in worker.log


@only('redis')
def test_switched_off(once: Service) -> None:
    once.start('-Q', 'once', '-c', '1', settings={'RUN_ONCE': False})
    task_id = uuid.uuid4().hex
    for _ in range(3):
        once.send('plain', task_id=task_id)
    once.wait_until(lambda: once.count('end', task_id) == 3, 'each copy to run')
    once.wait_for_state(task_id, 'SUCCESS')
    assert once.row(task_id, 'runs') is None
