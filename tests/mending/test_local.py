"""`lost` and `resend` judge each kind of row and message, on SQLite and with files as the broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, chain, chord

from cadasta.workertoolbox.check.platform_queue import Depth
from cadasta.workertoolbox.database.tables import result_tables, task
from cadasta.workertoolbox.mending import lost
from cadasta.workertoolbox.mending.answers import Held
from cadasta.workertoolbox.mending.followers import followers
from cadasta.workertoolbox.mending.held import DeadLetters
from cadasta.workertoolbox.mending.lost import Evidence, Losses, Suspect
from cadasta.workertoolbox.mending.message import NotSendable
from cadasta.workertoolbox.mending.resending import Resending, refusal
from cadasta.workertoolbox.monitor.loop import Monitor
from cadasta.workertoolbox.tracked.filter import Filter
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.filesystem import FilesystemBroker

from ..commands.ended import app_of
from ..tracked.rows import schedule, store
from .test_message import by_id, raw


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


class Local:
    """A broker of files, a database of one file, and an app that uses both."""

    def __init__(self, directory: Path) -> None:
        self.broker = FilesystemBroker(directory)
        self.tasks = TaskDatabase(f'sqlite:///{directory}/tasks.db')
        self.app: Celery = app_of(self.broker, result_backend=f'db+{self.tasks.url}')

    def track(self) -> None:
        """Stores what the platform queue has."""
        self.broker.count(PLATFORM_QUEUE)
        Monitor(self.app, self.tasks.url, once=True).run()

    def messages(self, *queues: str) -> dict[str, Any]:
        """Takes the messages from queues, by the ids of their tasks."""
        for queue in queues:
            self.broker.count(queue)
        return {task_id: found for queue in queues for task_id, found in by_id(raw(self.broker, queue)).items()}

    def overdue(self, task_id: str, **values: Any) -> None:
        """Puts a task into the table that was sent long ago."""
        schedule(self.tasks, task_id, **{'first_seen': ago(1200), 'last_seen': ago(1200), **values})

    def suspects(self, **arguments: Any) -> dict[str, Suspect]:
        with Losses(self.app, self.tasks.url) as losses:
            return {found.task.task_id: found for found in losses.suspects(losses.gather(), **arguments)}

    def states(self) -> dict[str, str]:
        return {row['task_id']: row['status'] for row in self.tasks.execute('SELECT * FROM celery_taskmeta')}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = Local(tmp_path)
    yield made
    made.broker.close()


# Messages


def test_what_is_sent_again_equals_the_first(local: Local) -> None:
    app = local.app
    step = app.signature('export.step', app=app)
    given = {'customer': 42, 'priority': 'high', 'rate': 0.1, 'tags': ['a'], 'nested': {'a': None}}
    app.send_task('export.project', ('a', -0.0, 2**70), {'b': None}, task_id='1', compression='gzip', headers=given)
    app.send_task('export.project', task_id='2', priority=7, reply_to='me', link=[step], link_error=[step])
    times: Any = {'eta': ago(3600), 'expires': ago(-3600).replace(microsecond=0)}
    app.send_task('export.project', task_id='3', retries=2, shadow='x', time_limit=60, soft_time_limit=0.5, **times)
    chain(step, step).apply_async()
    local.track()
    first = local.messages('export')
    assert len(first) == 4
    with Resending(app, local.tasks.url) as sender:
        for task_id in first:
            sender.send(sender.parcel(task_id))
        assert list(sender.send_watches()) == []
    assert local.messages('export') == first
    assert local.messages(PLATFORM_QUEUE).keys() == first.keys()
    assert {row['resent'] for row in local.tasks.execute('SELECT resent FROM celery_task')} == {1}


def test_what_can_be_sent_again(local: Local) -> None:
    local.app.send_task('export.project', task_id='1')
    local.track()
    (row,) = local.tasks.execute(task.select())

    def why_not(force: bool = False, **values: Any) -> str:
        options = {**row['options'], **values.pop('options', {})}
        local.tasks.execute(task.update().values({**row, **values, 'options': options}))
        with Resending(local.app, local.tasks.url, force) as sender:
            try:
                assert sender.parcel('1').row.task_id == '1'
            except NotSendable as error:
                return str(error)
        return ''

    assert why_not(body=None).startswith('its row has no body: it was stored with --no-arguments')
    assert why_not(body=b'hello').startswith('its body cannot be read: the body is not JSON')
    assert why_not(body=b'{}') == "its message is of Celery's first protocol"
    assert why_not(expires=ago(1)) == 'it expired, and no worker would run it'
    assert why_not(expires=ago(-60)) == ''
    assert "no work queue serves its routing key 'elsewhere'" in why_not(routing_key='elsewhere')
    again = 'it was sent again 3 times already, and --force sends it once more'
    assert [why_not(resent=2), why_not(resent=3), why_not(True, resent=3)] == ['', again, '']
    for options, names in (
        ({'b': 'a\ufffdb', 'a': 10**16}, 'a, b'),
        ({'rates': [1, {'a': 'nan'}]}, 'rates'),
        ({'rates': {'inf': 1}}, 'rates'),
        ({'low': -(10**16)}, 'low'),
        ({'properties': {'priority': '-inf'}}, 'priority'),
    ):
        assert why_not(options=options) == f'the database may have changed its headers {names}: send the task anew'
    assert why_not(options={'high': 10**16 - 1, 'argsrepr': '\ufffd', 'kwargsrepr': '\ufffd'}) == ''


def test_a_failure_releases_what_it_took_along(local: Local) -> None:
    """The body of the chord was never sent, and its watch has ended."""
    app = local.app
    fails, other = (app.signature('export.fails', app=app).set(task_id=task_id) for task_id in ('fails', 'other'))
    body = app.signature('export.body', app=app).set(task_id='body')
    for watched in ('1', '2'):
        chord([fails.clone(), other.clone()], body.clone(), app=app).apply_async()
        fails, other, body = (part.clone().set(task_id=part.id + watched) for part in (fails, other, body))
    local.track()
    local.messages('export', PLATFORM_QUEUE)
    watches = {
        row['id']: row['task_id']
        for row in local.tasks.execute(
            "SELECT args ->> '$[1].options.task_id' AS id, task_id FROM celery_task WHERE name = 'celery.chord_unlock'"
        )
    }
    assert watches.keys() == {'body', 'body1'}
    for watch in watches.values():
        store(local.tasks, watch)
    for task_id in ('fails', 'fails1', 'other'):
        store(local.tasks, task_id, 'FAILURE', runs=1, lease=ago(1))
    for task_id in ('body', 'body1'):
        store(local.tasks, task_id, 'FAILURE', runs=0)
    local.tasks.execute(task.update().where(task.c.task_id == 'fails1').values(first_seen=ago(60)))
    with Resending(app, local.tasks.url) as sender:
        first, *others = sender.failed(Filter())
        assert (first, set(others)) == ('fails1', {'fails', 'other'})
        assert sender.standings(['fails', 'unknown']) == {'fails': 'failed'}
        parcels = [sender.parcel('fails') for _ in range(2)]
        sender.send(parcels[0])
        assert local.messages('export').keys() == {'fails'}
        with pytest.raises(NotSendable, match='changed in the meantime'):
            sender.send(parcels[1])
        assert list(sender.send_watches()) == [(watches['body'], 'celery.chord_unlock')]
        assert list(sender.send_watches()) == []
    assert local.messages('export').keys() == {watches['body']}
    assert {task_id for task_id, state in local.states().items() if state == 'PENDING'} == {
        *('fails', 'body', watches['body']),
    }


def test_which_rows_are_released(local: Local) -> None:
    results, _ = result_tables({}, {})
    local.app.send_task('export.project', task_id='1')
    local.track()

    def is_sent(state: str, meanwhile: str = '', **values: Any) -> bool:
        local.tasks.execute(results.delete())
        local.tasks.execute(task.update().values(resent=None))
        store(local.tasks, '1', state, **{'runs': 2, 'result': b'1', 'traceback': '', 'role': 'ada', **values})
        before = local.broker.count('export')
        with Resending(local.app, local.tasks.url) as sender:
            parcel = sender.parcel('1')
            if meanwhile:
                local.tasks.execute(f'UPDATE celery_taskmeta SET {meanwhile}')
            with suppress(NotSendable):
                sender.send(parcel)
        (row,) = local.tasks.execute(results.select())
        released = [row[name] for name in ('status', 'runs', 'result', 'traceback', 'lease', 'role')]
        (counted,) = local.tasks.execute('SELECT resent FROM celery_task')
        is_sent = local.broker.count('export') > before
        assert (counted['resent'], released == ['PENDING', row['runs'], *[None] * 4]) == (
            1 if is_sent else None,
            is_sent,
        )
        return is_sent

    assert is_sent('FAILURE')
    assert is_sent('REVOKED', runs=None)
    assert is_sent('STARTED', lease=ago(60))
    # Its worker has just claimed it, or tells those who depend on it.
    assert not is_sent('STARTED', lease=ago(-60))
    assert not is_sent('FAILURE', lease=ago(-60))
    assert not is_sent('SUCCESS')
    assert not is_sent('FAILURE', meanwhile="status = 'RETRY'")
    assert not is_sent('FAILURE', meanwhile='runs = 3')


def test_two_people_send_a_task_again_once(local: Local) -> None:
    """It has no result, so only its own row tells the second one."""
    local.app.send_task('export.project', task_id='1')
    local.track()
    before = local.broker.count('export')
    with Resending(local.app, local.tasks.url) as first, Resending(local.app, local.tasks.url) as second:
        parcels = [sender.parcel('1') for sender in (first, second)]
        first.send(parcels[0])
        with pytest.raises(NotSendable, match='changed in the meantime'):
            second.send(parcels[1])
    assert local.broker.count('export') == before + 1
    assert local.tasks.execute('SELECT resent FROM celery_task') == [{'resent': 1}]


def test_which_tasks_and_groups_follow() -> None:
    """A callback is no follower: it is not sent where a task fails, and nobody stores a failure of it."""

    def signature(task_id: str, **options: str) -> dict[str, Any]:
        return {'task': 'export.step', 'options': {'task_id': task_id, **options}}

    options = {
        'chord': signature('body', group_id='outer'),
        'chain': [signature('next')],
        'callbacks': [signature('x')],
    }
    assert followers('group', options) == (frozenset({'body', 'next'}), frozenset({'group', 'outer'}))
    assert followers(None, {}) == (frozenset(), frozenset())


def test_which_followers_are_released(local: Local) -> None:
    """They are those that never ran and that nobody has sent."""
    steps = [local.app.signature('export.step', app=local.app).set(task_id=task_id) for task_id in 'abcde']
    chain(*steps).apply_async()
    local.track()
    store(local.tasks, 'a', 'FAILURE', runs=1)
    store(local.tasks, 'b', 'FAILURE', runs=0, result=b'1', role='ada')
    store(local.tasks, 'c', 'FAILURE', runs=1)
    store(local.tasks, 'd', 'REVOKED', runs=0)
    store(local.tasks, 'e', 'FAILURE', runs=0)
    schedule(local.tasks, 'e')
    with Resending(local.app, local.tasks.url) as sender:
        sender.send(sender.parcel('a'))
    assert {task_id for task_id, state in local.states().items() if state == 'PENDING'} == {'a', 'b'}
    (row,) = local.tasks.execute("SELECT * FROM celery_taskmeta WHERE task_id = 'b'")
    assert (row['result'], row['role'], row['runs']) == (None, None, 0)
    # It was cancelled, and takes nobody along.
    local.tasks.execute("UPDATE celery_taskmeta SET status = 'REVOKED' WHERE task_id = 'a'")
    local.tasks.execute("UPDATE celery_taskmeta SET status = 'FAILURE' WHERE task_id = 'b'")
    with Resending(local.app, local.tasks.url) as sender:
        sender.send(sender.parcel('a'))
    assert local.states()['b'] == 'FAILURE'


@pytest.mark.parametrize(
    ('standing', 'suspect', 'reason'),
    [
        ('failed', None, ''),
        ('cancelled', None, ''),
        ('lost', Suspect(None, proof='gone'), ''),  # type: ignore[arg-type]  # nobody looks at the task
        ('lost', Suspect(None, doubt='held'), 'it is not proved to be lost: held'),  # type: ignore[arg-type]  # nobody looks at the task
        ('queued', None, 'it is not overdue: nothing is called lost that happened within the last minute'),
        ('retrying', None, 'it is not overdue: nothing is called lost that happened within the last minute'),
        ('lost', None, 'it is not overdue: nothing is called lost that happened within the last minute'),
        ('running', None, 'it runs'),
        ('succeeded', None, 'it succeeded'),
        ('waiting', None, 'it waits for its eta'),
        (None, None, 'it is not tracked: its id is wrong, or no monitor has stored it yet'),
    ],
)
def test_why_a_task_is_not_sent_again(standing: str | None, suspect: Suspect | None, reason: str) -> None:
    assert refusal(standing, suspect) == reason


# Losses


def overdue(local: Local, task_id: str, state: str, done: datetime | None = None, **values: Any) -> None:
    """Puts a task into the tables that was sent long ago, and its result."""
    local.overdue(task_id)
    results, _ = result_tables({}, {})
    store(local.tasks, task_id, state, **values)
    at = done and done.replace(tzinfo=None)
    local.tasks.execute(results.update().where(results.c.task_id == task_id).values(date_done=at))


def test_which_rows_are_overdue(local: Local) -> None:
    """Those whose time is over by a minute, where the queue has nothing."""
    local.overdue('sent')
    local.overdue('was due', eta=ago(90))
    local.overdue('expires later', expires=ago(-300))
    overdue(local, 'retried', 'RETRY', ago(90))
    overdue(local, 'received', 'RECEIVED')
    overdue(local, 'was released long before', 'PENDING', ago(5000))
    overdue(local, 'dead', 'STARTED', lease=ago(90), worker='celery@a#1')
    local.overdue('just sent', last_seen=ago(30))
    local.overdue('was just due', eta=ago(30))
    local.overdue('is due later', eta=ago(-300))
    local.overdue('expires now', expires=ago(0))
    local.overdue('has expired', expires=ago(300))
    overdue(local, 'was just retried', 'RETRY', ago(30))
    overdue(local, 'is over', 'SUCCESS')
    overdue(local, 'failed', 'FAILURE')
    found = local.suspects()
    nothing = "the queue of the routing key 'export' has no message, neither waiting nor received, and had not before"
    assert {task_id: suspect.proof for task_id, suspect in found.items()} == {
        **dict.fromkeys(
            ('sent', 'was due', 'expires later', 'received', 'retried', 'was released long before'), nothing
        ),
        'dead': found['dead'].proof,
    }
    assert found['dead'].proof.startswith('its worker, celery@a#1, has not vouched for it since ')
    assert not any(suspect.doubt for suspect in found.values())
    overdue(local, 'runs', 'STARTED', lease=ago(-30))
    overdue(local, 'renews soon', 'STARTED', lease=ago(30))
    # The worker that runs them may have messages, and kombu deletes the file of a message that it receives.
    doubt = 'a worker that is busy may hold messages, and their files are gone'
    assert {task_id: suspect.doubt for task_id, suspect in local.suspects().items()} == {
        **dict.fromkeys(found, doubt),
        'dead': '',
    }
    assert local.suspects(ids=['sent', 'runs', 'dead', 'unknown']).keys() == {'sent', 'dead'}
    local.tasks.execute(task.update().where(task.c.task_id == 'sent').values(name='export.other'))
    assert local.suspects(where=Filter(name='export.other')).keys() == {'sent'}
    assert found['dead'].task.name == 'export.project'
    assert found['dead'].task.args is None


def test_a_message_that_is_there_but_once(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is asked twice, and has to have nothing both times."""
    local.overdue('sent')

    def send(seconds: float) -> None:
        local.app.send_task('export.project')
        local.messages(PLATFORM_QUEUE)
        assert local.broker.count('export') == 1

    with monkeypatch.context() as patch:
        patch.setattr(lost.time, 'sleep', send)
        assert local.suspects()['sent'].doubt == 'its work queue has 1 messages, and one of them may be its own'
    with monkeypatch.context() as patch:
        patch.setattr(lost.time, 'sleep', lambda seconds: local.messages('export'))
        assert local.suspects()['sent'].doubt == 'its work queue has 1 messages, and one of them may be its own'
    assert local.suspects()['sent'].proof


def test_a_worker_that_begins_meanwhile(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have taken the message after the broker was asked for the first time."""
    local.overdue('sent')

    def begin(seconds: float) -> None:
        overdue(local, 'runs', 'STARTED', lease=ago(-60))

    monkeypatch.setattr(lost.time, 'sleep', begin)
    assert local.suspects()['sent'].doubt == 'a worker that is busy may hold messages, and their files are gone'


@pytest.mark.parametrize(
    ('held', 'are_leases_over', 'doubt'),
    [
        (Held(0), True, ''),
        (Held(1), True, 'With task_acks_late, the broker delivers it again after '),
        (None, True, 'With task_acks_late, the broker delivers it again after '),
        (Held(2, ids=frozenset({'another'})), True, ''),
        (Held(2, ids=frozenset({'dead'})), True, 'But its message is in its work queue, or a worker has received it'),
        (Held(0), False, 'PostgreSQL was started lately, and workers may not have renewed their leases'),
    ],
)
def test_what_proves_that_a_started_task_is_lost(
    local: Local, held: Held | None, are_leases_over: bool, doubt: str
) -> None:
    overdue(local, 'dead', 'STARTED', lease=ago(90), worker='celery@a#1')
    evidence = Evidence(ago(60), {} if held is None else {'export': held}, '', are_leases_over)
    with Losses(local.app, local.tasks.url) as losses:
        (found,) = losses.suspects(evidence)
    assert doubt in found.doubt
    assert (found.proof == '') == bool(doubt)


def test_the_queue_of_a_started_task_is_asked(local: Local) -> None:
    overdue(local, 'dead', 'STARTED', lease=ago(90), worker='celery@a#1')
    assert local.suspects()['dead'].proof


def test_what_proves_that_a_task_was_never_started(local: Local) -> None:
    local.overdue('sent')
    with Losses(local.app, local.tasks.url) as losses:
        for held, doubt, expected in (
            ({'export': Held(0)}, '', ''),
            ({'export': Held(0)}, 'the rows are behind', 'the rows are behind'),
            ({}, '', 'it has become overdue only now'),
        ):
            (found,) = losses.suspects(Evidence(ago(60), held, doubt, True))
            assert (found.doubt, found.proof == '') == (expected, bool(expected))


def test_the_rows_are_behind_until_the_platform_queue_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a monitor has received is not stored yet."""
    naps: list[float] = []
    monkeypatch.setattr(lost.time, 'sleep', naps.append)
    depths: list[Depth | None] = [Depth(1, received=1), Depth(0, received=1, delayed=1), Depth(0, delayed=1)]
    depths += [Depth(0), None]
    queues: Any = SimpleNamespace(untracked=lambda: depths.pop(0))
    assert lost._wait_until_tracked(queues) == ''
    assert len(naps) == 3
    assert lost._wait_until_tracked(queues) == 'nobody can tell whether the platform queue is empty'


@pytest.mark.parametrize(
    ('watch', 'is_proved'),
    [({}, True), ({'last_seen': ago(1)}, False), ({'first_seen': ago(-3600)}, False), ({'name': 'export.any'}, False)],
)
def test_the_watch_over_a_chord_is_not_the_message_of_a_lost_task(
    local: Local, monkeypatch: pytest.MonkeyPatch, watch: dict[str, Any], is_proved: bool
) -> None:
    """It sends itself again and again. One that does so no more has no message, and a new one had none before."""
    local.overdue('sent')
    local.overdue('watch', name='celery.chord_unlock', last_seen=ago(1))
    local.app.send_task('export.project')
    local.messages(PLATFORM_QUEUE)
    assert local.broker.count('export') == 1
    naps: list[float] = []

    def send_itself_again(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            values = {'last_seen': ago(-1), **watch}
            local.tasks.execute(task.update().where(task.c.task_id == 'watch').values(values))

    monkeypatch.setattr(lost.time, 'sleep', send_itself_again)
    assert bool(local.suspects()['sent'].proof) == is_proved
    assert len(naps) == 2


def test_dead_letters_are_gathered(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    found = DeadLetters('export', 'dead', 1)
    monkeypatch.setattr(lost.WorkQueues, 'dead_letters', lambda queues: iter([found]))
    with Losses(local.app, local.tasks.url) as losses:
        losses.gather()
        assert losses.dead_letters == [found]


def test_a_row_that_was_released_and_not_sent(local: Local) -> None:
    """Its queue has other messages, and the row alone tells."""
    overdue(local, 'released', 'PENDING', ago(90))
    overdue(local, 'was just released', 'PENDING', ago(30))
    local.app.send_task('export.project')
    local.messages(PLATFORM_QUEUE)
    assert local.broker.count('export') == 1
    assert {task_id: suspect.proof for task_id, suspect in local.suspects().items()} == {
        'released': 'it was released to be sent again, and its message was never sent',
        'was just released': '',
    }


def test_a_worker_that_is_dead_and_the_next_one(local: Local) -> None:
    """The broker would have delivered the message again, if somebody has started another task of its queue since."""
    local.app.conf.broker_transport_options = {**local.app.conf.broker_transport_options, 'visibility_timeout': 300}
    overdue(local, 'dead', 'STARTED', lease=ago(600), worker='celery@a#1', started=ago(700))
    local.app.send_task('export.project')
    local.messages(PLATFORM_QUEUE)
    assert local.broker.count('export') == 1
    doubt = 'With task_acks_late, the broker delivers it again after 5 min, and nobody has started a task of its queue'
    assert doubt in local.suspects()['dead'].doubt
    local.overdue('another')
    store(local.tasks, 'another', started=ago(400))
    assert doubt in local.suspects()['dead'].doubt
    local.overdue('later')
    store(local.tasks, 'later', started=ago(200))
    assert local.suspects()['dead'].proof.startswith('its worker, celery@a#1, has not vouched for it since ')
    local.tasks.execute("UPDATE celery_task SET routing_key = 'msg' WHERE task_id = 'later'")
    assert doubt in local.suspects()['dead'].doubt


def test_the_newest_tasks_tell_whether_a_queue_is_served(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost, '_NEWEST', 1)
    overdue(local, 'dead', 'STARTED', lease=ago(600), worker='celery@a#1', started=ago(700))
    local.overdue('later', first_seen=ago(1100))
    store(local.tasks, 'later', started=ago(200))
    evidence = Evidence(ago(60), {'export': Held(1)}, '', True)
    with Losses(local.app, local.tasks.url) as losses:
        assert [bool(found.proof) for found in losses.suspects(evidence, ids=['dead'])] == [True]
        local.overdue('newest', first_seen=ago(1000))
        assert [bool(found.proof) for found in losses.suspects(evidence, ids=['dead'])] == [False]


def test_messages_that_nobody_has_stored_yet(local: Local) -> None:
    local.overdue('sent')
    local.app.send_task('export.project')
    local.messages('export')
    assert local.broker.count(PLATFORM_QUEUE) == 1
    doubt = 'the platform queue has 1 messages that no monitor has stored yet'
    assert local.suspects()['sent'] == Suspect(local.suspects()['sent'].task, doubt=doubt)


def test_a_chord_whose_body_is_there(local: Local) -> None:
    """Its watch is over. A worker of version 1.0 stores nothing about it."""
    for task_id in ('sent', 'failed', 'waits', 'unknown'):
        args: Any = ['group', {'task': 'export.body', 'options': {'task_id': f'body that {task_id}'}}]
        options = {'ignore_result': True}
        local.overdue(task_id, name='celery.chord_unlock', args=None if task_id == 'unknown' else args, options=options)
    schedule(local.tasks, 'body that sent')
    store(local.tasks, 'body that failed', 'FAILURE')
    store(local.tasks, 'body that waits', 'PENDING')
    assert local.suspects().keys() == {'waits'}
