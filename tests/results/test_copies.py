"""Messages with one id: one of them runs, the others do not, whatever becomes of it."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from celery import Celery, chord
from celery.backends.database import DatabaseBackend

from .service import Service

REFUSED = 'is not run: it runs on'
DROPPED = 'is not run: it ended before'
NOT_RUN = 'is not run: (?:it ended before|a later try of it was sent)'
# How often each task runs, with its retries and what it replaces itself by.
RUNS = {'hooked': 1, 'retried': 3, 'again': 3, 'replaced': 2}


def only(*brokers: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize('broker', brokers, indirect=True)


@only('filesystem', 'redis', 'amqp', 'sqs')
def test_copies_wait_in_their_queue_and_are_dropped(once: Service, tmp_path: Path) -> None:
    """They come back when the lease of the run could be over, hold no process meanwhile, and are no new messages."""
    gate, task_id = tmp_path / 'gate', uuid.uuid4().hex
    for name in ('late', 'plain'):
        once.send(name, str(gate), task_id=task_id)
    worker = once.start('-Q', 'once', '-c', '2', lease=3)
    once.wait_until(lambda: once.count('begin', task_id), 'one of them to run')
    once.send('late', str(gate), task_id=task_id)
    once.wait_until(lambda: worker.log.count(REFUSED) >= 3, 'a copy to come back')
    # Three children would be busy, and there are two.
    once.wait_for_state(once.send('plain'), 'SUCCESS')
    gate.touch()
    once.wait_for_state(task_id, 'SUCCESS')
    once.send('late', str(gate), task_id=task_id)
    once.wait_until(lambda: worker.log.count(DROPPED) == 3, 'the copies to be dropped')
    assert once.count('begin', task_id) == 1
    assert once.row(task_id, 'runs, retries, replaced') == (1, 0, 0)
    # A second each, at least: a message that the broker puts back comes at once.
    assert worker.log.count(REFUSED) < 30
    assert [message.key.id for message in once.broker.drain('platform.fifo')].count(task_id) == 4


@only('redis')
@pytest.mark.parametrize(
    ('pool', 'acks_late'), [('prefork', True), ('prefork', False), ('threads', True), ('solo', False), ('gevent', True)]
)
def test_copies_of_what_celery_sends_again(once: Service, pool: str, acks_late: bool) -> None:
    """A retry and a replacement have the id of the task that sends them: they run, and copies do not."""
    worker = once.start('-Q', 'once', '-P', pool, '-c', '3', lease=3, settings={'task_acks_late': acks_late})
    sent = {uuid.uuid4().hex: (name, runs) for name, runs in RUNS.items()}
    for task_id, (name, _) in sent.items():
        for _ in range(3):
            once.send(name, task_id=task_id)
    once.wait_until(lambda: len(re.findall(NOT_RUN, worker.log)) == 2 * len(sent), 'the copies to be dropped')
    for task_id, (name, runs) in sent.items():
        once.wait_for_state(task_id, 'SUCCESS')
        assert (name, once.count('begin', task_id), once.row(task_id, 'runs')) == (name, runs, runs)
        assert once.at_once()[task_id] == 1
        if name == 'hooked':
            assert [once.count(event, task_id) for event in ('before_start', 'call')] == [1, 1]
    assert 'Traceback' not in worker.log


@only('redis')
def test_copies_of_a_chord(once: Service, tmp_path: Path) -> None:
    gate = tmp_path / 'gate'
    worker = once.start('-Q', 'once,celery', '-c', '3', lease=3)
    header = [once.app.signature('once.plain', (str(gate),), app=once.app) for _ in range(2)]
    body = once.app.signature('once.total', (str(gate) + '2',), app=once.app)
    result = chord(header, body, app=once.app).apply_async()
    once.wait_until(lambda: len(once.notes()) == len(header), 'the header to run')
    send_copies(once, 'once.plain')
    once.wait_until(lambda: worker.log.count(REFUSED) >= len(header), 'the copies of the header to come back')
    gate.touch()
    once.wait_until(lambda: once.count('begin', result.id), 'the body to run')
    send_copies(once, 'once.total')
    worker.wait_for(rf'once.total\[{result.id}\] {REFUSED}')
    Path(f'{gate}2').touch()
    assert result.get(timeout=60) == len(header)
    once.wait_until(lambda: worker.log.count(DROPPED) == len(header) + 1, 'all copies to be dropped')
    for task_id in (result.id, *(task.id for task in result.parent)):
        assert once.count('begin', task_id) == once.row(task_id, 'runs') == 1


def send_copies(once: Service, name: str) -> None:
    """Sends the messages of a task again, as the platform queue has them, but for the routing key."""
    for message in once.broker.drain('platform.fifo'):
        if message.key.task == name:
            with once.app.producer_or_acquire() as producer:
                producer.publish(
                    message.body,
                    exchange='',
                    routing_key='once',
                    serializer='json',
                    headers=message.headers,
                    correlation_id=message.key.id,
                )


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


@only('redis')
def test_plain_celery_beside(once: Service, tmp_path: Path) -> None:
    """Both run tasks of one queue, and read each other's results. What plain Celery starts has no lease."""
    gate = tmp_path / 'gate'
    for project in ('once', 'plain'):
        once.start('-Q', 'once', '-c', '1', project=project)
    sent = [once.send('plain', str(gate)) for _ in range(8)]

    def started() -> set[tuple[int | None, bool]]:
        rows = once.database.execute("SELECT runs, lease IS NULL FROM celery_taskmeta WHERE status = 'STARTED'")
        return set(rows)

    once.wait_until(lambda: started() == {(1, False), (None, True)}, 'a task to run on each')
    gate.touch()
    plain = DatabaseBackend(app=Celery('plain', set_as_current=False), url=once._url.removeprefix('db+'))
    for task_id in sent:
        once.wait_for_state(task_id, 'SUCCESS')
        assert once.app.AsyncResult(task_id).get(timeout=60) == plain.get_result(task_id) == task_id
        assert once.count('begin', task_id) == 1
