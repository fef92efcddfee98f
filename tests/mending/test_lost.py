"""`toolbox lost`: what it proves, on each broker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from celery import chord
from redis import Redis

from cadasta.workertoolbox.mending.resending import Resending
from rig.servers.sqs import SQSBroker

from .platform import Platform


@pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs', 'filesystem'], indirect=True)
def test_a_purged_queue(platform: Platform) -> None:
    ids = {platform.service.send('plain') for _ in range(3)}
    platform.track()
    assert platform.suspects() == {}
    platform.later()
    # The messages wait for a worker.
    assert platform.lost() == set()
    assert platform.suspects().keys() == ids
    platform.purge('once')
    assert platform.lost() == ids
    assert platform.resend('--lost').stderr == '3 would be sent: repeat the command with --yes\n'
    assert platform.broker.count('once') == 0
    sent = platform.resend('--lost', '--yes')
    assert {line.partition('\t')[0] for line in sent.stdout.splitlines()} == ids
    assert platform.broker.count('once') == 3
    platform.track()
    assert platform.lost() == set()
    platform.service.start('-Q', 'once', '-c', '1')
    for task_id in ids:
        platform.service.wait_for_state(task_id, 'SUCCESS')
        assert platform.service.count('begin', task_id) == 1
    assert platform.suspects() == {}


@pytest.mark.parametrize('broker', ['redis', 'sqs'], indirect=True)
def test_a_killed_worker(platform: Platform, tmp_path: Path) -> None:
    """The broker would deliver again what it had begun, and what it had received, until the messages are gone."""
    service, gate = platform.service, tmp_path / 'gate'
    worker = service.start('-Q', 'once', '-c', '1', '--prefetch-multiplier', '2', lease=3)
    begun = service.send('late', str(gate))
    service.wait_until(lambda: service.count('begin', begun), 'the task to start')
    received = service.send('plain')
    service.wait_until(lambda: worker.log.count('] received') == 2, 'the other to be received')
    platform.track()
    platform.later()
    # A worker that lives vouches for what it runs, and the broker knows what it holds.
    service.wait_until(lambda: service.row(begun, 'lease > now()'), 'the lease to be renewed')
    assert platform.lost() == set()
    worker.kill()
    platform.later()
    suspects = platform.suspects()
    assert not any(suspect['lost'] for suspect in suspects.values())
    if platform.broker.name == 'redis':
        message = 'its message is in its work queue, or a worker has received it'
        assert message == suspects[received]['doubt']
        assert message in suspects[begun]['doubt']
    else:
        assert 'nobody has started a task of its queue since' in suspects[begun]['doubt']
        assert 'its work queue has 2 messages' in suspects[received]['doubt']
    assert 'not proved to be lost' in platform.resend(begun, received).stderr
    _lose_what_is_held(platform)
    assert platform.lost() == {begun, received}
    assert platform.resend(begun, '--yes').stderr == '1 sent\n'
    # It is released, and its message lies in the queue.
    assert platform.lost() == set()
    assert service.row(begun, 'status, lease') == ('PENDING', None)
    platform.purge('once')
    platform.track()
    platform.later()
    assert platform.resend('--lost', '--yes').stderr == '2 sent\n'
    gate.touch()
    service.start('-Q', 'once', '-c', '1')
    for task_id, runs in ((begun, 2), (received, 1)):
        service.wait_for_state(task_id, 'SUCCESS')
        assert service.row(task_id, 'runs') == service.count('begin', task_id) == runs


def _lose_what_is_held(platform: Platform) -> None:
    broker = platform.broker
    if isinstance(broker, SQSBroker):
        broker.client.purge_queue(QueueUrl=broker.queues()['once'])
    else:
        with Redis.from_url(broker.url) as client:
            client.delete('unacked', 'unacked_index')


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_false_alarms(platform: Platform, tmp_path: Path) -> None:
    service, gate = platform.service, tmp_path / 'gate'
    runs = service.send('plain', str(gate))
    # The worker holds it. Its clock is behind the others by an hour: they take it for overdue.
    behind = service.send('plain', countdown=900)
    ahead = service.send('plain', countdown=3600)
    retried = service.send('patient', 3600)
    ignored = service.send('plain', ignore_result=True)
    expired = service.send('plain', expires=600)
    service.app.send_task('once.plain', queue='once', task_id='untracked')
    worker = service.start('-Q', 'once', '-c', '2', lease=3)
    service.wait_for_state(expired, 'SUCCESS')
    service.wait_for_state(retried, 'RETRY')
    service.wait_for_state('untracked', 'SUCCESS')
    service.wait_until(lambda: service.count('end', ignored), 'the task without a result')
    platform.track()
    platform.database.execute("DELETE FROM celery_task WHERE task_id = 'untracked'")
    for _ in range(2):
        platform.later()
    platform.database.execute(
        "UPDATE celery_taskmeta SET status = 'STARTED', lease = now() - interval '1 hour' WHERE task_id = 'untracked'"
    )
    platform.database.execute('UPDATE celery_task SET expires = now() WHERE task_id = %s', expired)
    platform.database.execute('DELETE FROM celery_taskmeta WHERE task_id = %s', expired)
    # It is late, under load.
    platform.database.execute(
        "UPDATE celery_taskmeta SET lease = now() - interval '50 seconds' WHERE task_id = %s", runs
    )
    assert platform.lost() == set()
    assert platform.suspects().keys() == {behind}
    refused = platform.resend(runs, behind, ahead, retried, ignored, expired, 'untracked', 'unknown').stderr
    assert [line.split('\t')[1].partition(':')[2].strip()[:30] for line in refused.splitlines()[:-1]] == [
        'it runs',
        'it is not proved to be lost: i',
        'it waits for its eta',
        'it is not overdue: nothing is ',
        'it ignores its result, so nobo',
        'it expired',
        'it is not tracked: its id is w',
        'it is not tracked: its id is w',
    ]
    gate.touch()
    assert worker.is_running


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_monitor_that_is_away(platform: Platform) -> None:
    task_id = platform.service.send('plain')
    platform.track()
    platform.purge('once')
    platform.service.send('plain')
    platform.later()
    doubt = 'the platform queue has 1 messages that no monitor has stored yet'
    assert platform.suspects()[task_id]['doubt'] == doubt
    assert platform.command('lost').stderr == f'What has not started is not called lost: {doubt}\n0 lost\n'
    platform.track()
    platform.purge('once')
    # The other may be with a worker that is just claiming it.
    assert platform.lost() == {task_id}


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_watch_over_a_chord(platform: Platform) -> None:
    service = platform.service
    header = [service.app.signature('once.plain', app=service.app) for _ in range(2)]
    for _ in range(3):
        chord(header, service.app.signature('once.total', app=service.app), app=service.app).apply_async()
    platform.track()
    platform.later()
    platform.purge('once', 'celery')
    watches = platform.database.execute(
        "SELECT args -> 1 -> 'options' ->> 'task_id', task_id FROM celery_task WHERE name = 'celery.chord_unlock'"
    )
    bodies = dict(watches)
    assert platform.lost() >= set(bodies.values())
    (sent, *_), (failed, *_), (waits, *_) = watches
    # A worker of version 1.0 stores nothing about a watch that is over. But the body of its chord is there.
    service.send('total', task_id=sent)
    platform.database.execute(
        "INSERT INTO celery_taskmeta (id, task_id, status) VALUES (nextval('task_id_sequence'), %s, 'FAILURE')", failed
    )
    platform.track()
    platform.purge('once')
    assert platform.lost() & set(bodies.values()) == {bodies[waits]}


@pytest.mark.parametrize('broker', ['sqs'], indirect=True)
def test_a_chord_that_waits_for_what_is_lost(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its watch has a message in the same queue, all the time."""
    service = platform.service
    header = [service.app.signature('once.plain', app=service.app) for _ in range(2)]
    body = chord(header, service.app.signature('once.total', app=service.app), app=service.app).apply_async()
    platform.track()
    platform.later()
    platform.purge('once')
    lost = {task.id for task in body.parent}
    (watch,) = platform.lost() - lost
    assert platform.resend(watch, '--yes').stderr == '1 sent\n'
    service.start('-Q', 'once', '-c', '1')
    with platform.monitor():
        service.wait_until(lambda: platform.row(watch, 'retries') > 1, 'the chord to wait')
        platform.later()
        # The watch sends itself again each second.
        monkeypatch.setattr(sys.modules['cadasta.workertoolbox.mending.lost'], 'PAUSE', 5)
        monkeypatch.setattr(sys.modules['cadasta.workertoolbox.mending.lost'], 'PATIENCE', 30)
        assert platform.lost() == lost
        assert platform.resend('--lost', '--yes').stderr == '2 sent\n'
        service.wait_for_state(body.id, 'SUCCESS')
    assert body.get(timeout=60) == 2


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_restart_of_postgresql(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the server was down, workers could not renew their leases."""
    task_id = platform.service.send('plain')
    platform.track()
    platform.purge('once')
    platform.later()
    platform.database.execute(
        """INSERT INTO celery_taskmeta (id, task_id, status, lease)
        VALUES (nextval('task_id_sequence'), %s, 'STARTED', now() - interval '1 hour')""",
        task_id,
    )
    assert platform.lost() == {task_id}
    monkeypatch.setattr(sys.modules['cadasta.workertoolbox.mending.lost'], 'RENEWED', 100_000)
    doubt = 'PostgreSQL was started lately, and workers may not have renewed their leases'
    assert platform.suspects()[task_id]['doubt'] == doubt


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_crash_between_release_and_publish(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue has other messages, and the row alone tells."""
    service = platform.service
    service.start('-Q', 'once', '-c', '1').wait_for('ready')
    task_id = service.send('fail', 'oh')
    service.wait_for_state(task_id, 'FAILURE')
    service.processes.started[-1].stop()
    platform.track()

    def crash(self: Any, parcel: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Resending, '_publish', crash)
        platform.command('resend', task_id, '--yes')
    assert service.row(task_id) == 'PENDING'
    service.send('plain')
    assert platform.suspects() == {}
    platform.track()
    platform.later()
    suspects = platform.suspects()
    assert suspects[task_id]['proof'] == 'it was released to be sent again, and its message was never sent'
    assert [suspect['lost'] for suspect in suspects.values()].count(True) == 1
    assert platform.resend('--lost', '--yes').stderr == '1 sent\n'
    platform.track()
    assert task_id not in platform.suspects()
    platform.later()
    # Now its message is one of those that lie there.
    assert platform.lost() == set()
