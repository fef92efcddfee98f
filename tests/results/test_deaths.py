"""A task of a worker that dies, or hangs, is taken over when its lease is over; nothing of the first run is stored."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .service import Service

REDIS = pytest.mark.parametrize('broker', ['redis'], indirect=True)


@pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)
def test_a_killed_worker(once: Service, tmp_path: Path) -> None:
    """Another worker runs, once, the tasks that it had only received."""
    if once.broker.name != 'amqp':
        once.broker.options['visibility_timeout'] = 3
    gate = tmp_path / 'gate'
    first = once.start('-Q', 'once', '-c', '1', '--prefetch-multiplier', '3', lease=3)
    task_id = once.send('late', str(gate))
    once.wait_until(lambda: once.count('begin', task_id), 'the task to start')
    received = [once.send(name) for name in ('plain', 'late')]
    once.wait_until(lambda: first.log.count('] received') == 1 + len(received), 'all to be received')
    first.kill()
    once.start('-Q', 'once', '-c', '1', lease=3)
    once.wait_until(lambda: once.count('begin', task_id) == 2, 'the task to be taken over')
    gate.touch()
    once.wait_for_state(task_id, 'SUCCESS')
    runs, worker = once.row(task_id, 'runs, worker')
    assert (runs, worker.partition('#')[0]) == (2, 'w2@here')
    for task_id in received:
        once.wait_for_state(task_id, 'SUCCESS')
        assert once.count('begin', task_id) == once.row(task_id, 'runs') == 1


@REDIS
def test_a_worker_that_was_stopped_for_longer_than_its_lease(once: Service, tmp_path: Path) -> None:
    """Its broker takes it for dead as well, and delivers the message to another."""
    gate = tmp_path / 'gate'
    first = once.start('-Q', 'once', '-c', '1', lease=3, settings={'broker_heartbeat': 2})
    task_id = once.send('late', str(gate))
    once.wait_until(lambda: once.count('begin', task_id), 'the task to start')
    os.killpg(first.popen.pid, signal.SIGSTOP)
    once.start('-Q', 'once', '-c', '1', lease=3)
    # The broker would deliver it later.
    once.send('late', str(gate), task_id=task_id)
    once.wait_until(lambda: once.count('begin', task_id) == 2, 'the task to be taken over')
    gate.touch()
    once.wait_for_state(task_id, 'SUCCESS')
    os.killpg(first.popen.pid, signal.SIGCONT)
    first.wait_for('A state of task .* is not stored: run 2')
    runs, worker = once.row(task_id, 'runs, worker')
    assert (runs, worker.partition('#')[0]) == (2, 'w2@here')


@REDIS
def test_a_child_alone(once: Service, tmp_path: Path) -> None:
    """The main process stores that it is lost; or its message is delivered again, and it runs again."""
    gate = tmp_path / 'gate'
    worker = once.start('-Q', 'once', '-c', '1', lease=3)
    for name, state, runs in (('plain', 'FAILURE', 1), ('late', 'SUCCESS', 2)):
        gate.unlink(missing_ok=True)
        task_id = once.send(name, str(gate))
        once.wait_until(lambda task_id=task_id: once.count('begin', task_id), 'the task to start')
        os.kill(_child(once, task_id), signal.SIGKILL)
        gate.touch()
        once.wait_for_state(task_id, state)
        assert once.row(task_id, 'runs') == runs
    assert worker.is_running


@REDIS
def test_a_worker_that_dies_before_its_errbacks_have_run(once: Service, tmp_path: Path) -> None:
    """Celery stores a failure before it calls the errbacks. Another worker calls them, and does not run the task."""
    gate = tmp_path / 'gate'
    inform = once.app.signature('once.inform', kwargs={'gate': str(gate)}, app=once.app)
    first = once.start('-Q', 'once', '-c', '1', lease=3)
    followup = once.app.signature('once.plain', app=once.app).set(task_id='followup')
    task_id = once.send('broken', link_error=[inform], chain=[followup])
    once.wait_until(lambda: once.count('inform', task_id), 'the errback to be called')
    assert once.row(task_id) == 'FAILURE'
    first.kill()
    # The broker would deliver it later.
    once.send('broken', task_id=task_id, link_error=[inform], chain=[followup])
    gate.touch()
    second = once.start('-Q', 'once', '-c', '1', lease=3)
    once.wait_until(lambda: once.count('informed', task_id), 'the errback to be called again')
    once.wait_until(lambda: once.row(task_id, 'status, lease') == ('FAILURE', None), 'the task to be over')
    once.send('broken', task_id=task_id, link_error=[inform], chain=[followup])
    once.wait_until(lambda: 'is not run: it ended before, as FAILURE' in second.log, 'the copy to be dropped')
    assert [once.count(event, task_id) for event in ('begin', 'inform', 'informed')] == [1, 2, 1]
    assert once.row('followup') == 'FAILURE'
    assert once.row(task_id, "convert_from(result, 'utf8')::json ->> 'exc_type'") == 'ValueError'


def _child(once: Service, task_id: str) -> int:
    (pid,) = once.database.execute(
        "SELECT (convert_from(result, 'utf8')::json ->> 'pid')::int FROM celery_taskmeta WHERE task_id = %s", task_id
    )[0]
    return int(pid)


@REDIS
def test_a_lease_is_renewed_while_its_task_runs(once: Service, tmp_path: Path) -> None:
    gate = tmp_path / 'gate'
    once.start('-Q', 'once', '-c', '1', '-P', 'solo', lease=3)
    task_id = once.send('plain', str(gate))
    once.wait_until(lambda: once.row(task_id) == 'STARTED', 'the task to start')
    once.wait_until(lambda: once.row(task_id, "lease > started + interval '5 seconds'"), 'the lease to be renewed')
    gate.touch()
    once.wait_for_state(task_id, 'SUCCESS')
    assert once.row(task_id, 'lease') is None
