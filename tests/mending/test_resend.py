"""`toolbox resend`: tasks that failed, with what follows them, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery, chain, chord

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.mending.message import NotSendable
from cadasta.workertoolbox.mending.resending import Resending
from rig.monitor.databases import TaskDatabase

from ..commands.running import run
from ..tracked.rows import schedule, store
from .platform import Platform

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(minutes=20)
REDIS = pytest.mark.parametrize('broker', ['redis'], indirect=True)


@REDIS
def test_what_failed_takes_along_what_follows_it(platform: Platform, tmp_path: Path) -> None:
    service, path = platform.service, tmp_path / 'needed'

    def signature(name: str, *args: object) -> object:
        return service.app.signature(f'once.{name}', args, app=service.app)

    needs, plain, total = signature('needs', str(path)), signature('plain'), signature('total')
    immutable = service.app.signature('once.plain', immutable=True, app=service.app)
    worker = service.start('-Q', 'once,celery', '-c', '2')
    steps = chain(needs, immutable, immutable).apply_async()
    header = [chain(signature('needs', str(path)), immutable), signature('needs', str(path)), plain]
    body = chord(header, total, app=service.app).apply_async()
    for result in (steps, steps.parent, body):
        service.wait_for_state(result.id, 'FAILURE')
    platform.track()
    assert platform.suspects() == {}
    assert service.row(body.id, 'runs') == service.row(steps.id, 'runs') == 0
    assert platform.resend('--failed').stderr == '3 would be sent: repeat the command with --yes\n'
    path.touch()
    sent = platform.resend('--failed', '--name', 'once.*', '--newer-than', '1h', '--yes')
    assert sorted(line.split('\t')[1] for line in sent.stdout.splitlines()) == [
        'celery.chord_unlock',
        *['once.needs'] * 3,
    ]
    for result in (steps.parent.parent, steps.parent, steps, body):
        service.wait_for_state(result.id, 'SUCCESS')
    assert body.get(timeout=60) == 3
    assert service.count('begin', body.id) == service.count('begin', steps.id) == 1
    assert service.row(steps.parent.parent.id, 'runs') == 2
    platform.track()
    platform.later()
    assert platform.suspects() == {}
    assert worker.is_running
    refused = platform.resend(body.id, '--yes')
    assert refused.stderr == f'{body.id}\trefused: it succeeded\n0 sent\n'
    assert refused.exit_code == 1


@REDIS
def test_three_times(platform: Platform) -> None:
    task_id = platform.service.send('plain')
    platform.track()
    # A task of another producer has no such header.
    platform.database.execute('UPDATE celery_task SET sent = NULL')
    for times in range(5):
        platform.track()
        platform.later()
        platform.purge('once')
        result = platform.resend(task_id, '--yes', *(['--force'] if times == 4 else []))
        assert result.stderr == (
            f'{task_id}\trefused: it was sent again 3 times already, and --force sends it once more\n0 sent\n'
            if times == 3
            else '1 sent\n'
        )
    assert platform.database.execute('SELECT resent FROM celery_task') == [(4,)]
    assert platform.broker.count('once') == 1


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ('body = NULL', 'its row has no body'),
        ("body = 'hello'", 'its body cannot be read: the body is not JSON'),
        ("body = '{}'", "its message is of Celery's first protocol"),
        ('expires = now()', 'it expired, and no worker would run it'),
        ("routing_key = 'elsewhere'", "no work queue serves its routing key 'elsewhere'"),
        ("options = options || jsonb_build_object('customer', 'a\ufffdb')", 'may have changed its headers customer'),
        ('options = options || \'{"rate": 1e300}\'', 'may have changed its headers rate'),
        ('options = options || \'{"rates": [{"a": "nan"}]}\'', 'may have changed its headers rates'),
    ],
)
@REDIS
def test_a_row_without_the_whole_message(platform: Platform, change: str, reason: str) -> None:
    task_id = platform.service.send('fail', 'oh')
    platform.track()
    platform.purge('once')
    platform.database.execute(f'UPDATE celery_task SET {change}')
    platform.database.execute(
        "INSERT INTO celery_taskmeta (id, task_id, status) VALUES (nextval('task_id_sequence'), %s, 'FAILURE')", task_id
    )
    refused = platform.resend(task_id, '--yes').stderr
    assert reason in refused
    assert refused.endswith('0 sent\n')
    assert platform.broker.count('once') == 0


@REDIS
def test_a_row_that_changes_meanwhile(platform: Platform) -> None:
    task_id = platform.service.send('fail', 'oh')
    platform.track()
    platform.database.execute(
        "INSERT INTO celery_taskmeta (id, task_id, status) VALUES (nextval('task_id_sequence'), %s, 'FAILURE')", task_id
    )
    with Resending(platform.service.app, platform.url) as sender:
        parcels = [sender.parcel(task_id) for _ in range(2)]
        sender.send(parcels[0])
        with pytest.raises(NotSendable, match='changed in the meantime'):
            sender.send(parcels[1])
        platform.database.execute("UPDATE celery_taskmeta SET status = 'SUCCESS'")
        with pytest.raises(NotSendable, match='changed in the meantime'):
            sender.send(sender.parcel(task_id))
        assert list(sender.send_watches()) == []
    assert platform.database.execute('SELECT resent FROM celery_task') == [(1,)]


@REDIS
def test_a_task_that_was_cancelled(platform: Platform) -> None:
    task_id = platform.service.send('plain')
    platform.track()
    assert platform.command('cancel', task_id, '--yes').exit_code == 0
    assert platform.resend(task_id, '--yes').stderr == '1 sent\n'
    assert platform.service.row(task_id) == 'PENDING'
    assert platform.broker.count('once') == 2


@REDIS
def test_which_tasks(platform: Platform) -> None:
    for arguments in ([], ['1', '--lost'], ['--lost', '--failed'], ['1', '--name', 'once.*']):
        assert 'by one of --lost and --failed' in platform.resend(*arguments).stderr


def test_an_app_without_a_config(tmp_path: Path) -> None:
    url = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db').url
    app = Celery('stranger', broker='memory://', set_as_current=False)
    for command in ('lost', 'resend'):
        arguments = ('--lost',) if command == 'resend' else ()
        result = run(app, command, '--database', url, *arguments)
        assert (result.exit_code, result.stderr) == (
            1,
            "Error: App 'stranger' is not configured by a Config, so nobody knows its work queues\n",
        )


def test_a_broker_that_is_away(tmp_path: Path) -> None:
    url = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db').url
    app = Celery('stranger', set_as_current=False)
    app.config_from_object(Config(broker_url='redis://ada:hush@127.0.0.1:1/0'))
    result = run(app, 'lost', '--database', url)
    assert result.exit_code == 1
    assert result.stderr.startswith('Error: The broker cannot be reached: ')
    assert 'hush' not in result.stderr


def test_on_sqlite_and_in_memory(tmp_path: Path) -> None:
    """Nobody sees into the memory of another process."""
    tasks = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    app = Celery('alone', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    schedule(tasks, 'waits', first_seen=LONG_AGO, last_seen=LONG_AGO)
    schedule(tasks, 'keyless', first_seen=LONG_AGO, last_seen=LONG_AGO, routing_key=None)
    for name in ('dead', 'dead too'):
        schedule(tasks, name, first_seen=LONG_AGO, last_seen=LONG_AGO)
        store(tasks, name, 'STARTED', lease=LONG_AGO, worker='w1@here#1')
    result = run(app, 'lost', '--overdue', '--database', tasks.url)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, '0 lost, 4 overdue')
    memory = 'PENDING\texport\texport.project\toverdue: nobody can tell whether the platform queue is empty'
    assert f'waits\t{memory}' in result.stdout
    tasks.execute("UPDATE celery_task SET name = 'export.later' WHERE task_id = 'dead'")
    schedule(tasks, 'later', first_seen=LONG_AGO, last_seen=LONG_AGO)
    store(tasks, 'later', 'SUCCESS', started=NOW, lease=None)
    result = run(app, 'lost', '--database', tasks.url)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, '2 lost')
    assert result.stdout.startswith(
        'dead\tSTARTED\texport\texport.later\tits worker, w1@here#1, has not vouched for it'
    )
    done = run(app, 'resend', '--lost', '--yes', '--database', tasks.url)
    assert done.stderr.startswith('dead\trefused: its row has no body: it was stored with --no-arguments, or by ')
