"""The columns that say how a task ran and what has become of it, of tasks that a real worker ran."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import chain, chord

from cadasta.workertoolbox.database.tables import result_tables
from cadasta.workertoolbox.monitor import Monitor
from cadasta.workertoolbox.results.cancelling import Cancelling
from cadasta.workertoolbox.tracked import Filter, TrackedTask, TrackedTasks
from cadasta.workertoolbox.tracked.task import STANDINGS
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.broker import Broker
from rig.servers.postgres import Database, Postgres
from rig.servers.process import Processes
from rig.servers.redis import Redis

from ..results.service import Service, service
from .rows import schedule, store


class Books:
    """The tasks that a service was sent, by what they are sent for."""

    def __init__(self, once: Service, gate: Path) -> None:
        self.once = once
        self.url = url_of(once.database)
        self.ids: dict[str, str] = {}
        self.gate = gate

    def __getitem__(self, name: str) -> TrackedTask:
        with TrackedTasks(self.url) as tracked:
            found = tracked.get(self.ids[name])
        assert found is not None
        return found

    def monitor(self) -> None:
        """Stores what was sent."""
        Monitor(self.once.app, self.url, once=True).run()

    def send(self) -> None:
        """Sends a task for each standing."""
        past = datetime.now(UTC) - timedelta(hours=1)
        send = self.once.send
        self.ids |= {
            'succeeded': send('plain', None, 0.2, countdown=0.5),
            'failed': send('fail', 'broken'),
            'retrying': send('retried', 3600),
            'waiting': send('plain', countdown=3600),
            'expired': send('plain', expires=past),
            'expired unseen': send('plain', queue='idle', expires=past),
            'queued': send('plain', queue='idle'),
            'unknown': send('plain', ignore_result=True),
            'cancelled': send('plain', queue='idle'),
            'retried': send('retried', 0.1),
            'running': send('plain', str(self.gate)),
        }
        plain = self.once.app.signature('once.plain', immutable=True)
        failing = self.once.app.signature('once.fail', ('broken',), immutable=True)
        total = self.once.app.signature('once.total')
        sent = chain(failing, plain).delay()
        self.ids |= {'failed step': sent.parent.id, 'step that was not sent': sent.id}
        self.ids['body'] = chord([plain, plain], total)().id
        self.ids['body that was not sent'] = chord([plain, failing], total)().id

    def wait(self) -> None:
        """Waits until everything has ended that will end."""
        for name in ('succeeded', 'retried', 'body'):
            self.once.wait_for_state(self.ids[name], 'SUCCESS')
        for name in ('failed', 'step that was not sent', 'body that was not sent'):
            self.once.wait_for_state(self.ids[name], 'FAILURE')
        self.once.wait_for_state(self.ids['retrying'], 'RETRY')
        self.once.wait_for_state(self.ids['expired'], 'REVOKED')
        self.once.wait_for_state(self.ids['running'], 'STARTED')
        self.once.wait_until(lambda: self.once.count('end', self.ids['unknown']), 'the task without a result')
        name = "name = 'celery.chord_unlock'"
        unlocks = f"SELECT 1 FROM celery_task_scheduled WHERE {name} AND status = 'SUCCESS'"
        self.monitor()
        self.once.wait_until(lambda: len(self.once.database.execute(unlocks)) == 2, 'the chords to be unlocked')


@pytest.fixture(scope='module')
def books(redis_server: Redis, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    directory = tmp_path_factory.mktemp('books')
    broker, database = redis_server.broker(), postgres.create_database(is_upgraded=True)
    with Processes(directory) as processes, service(broker, database, processes) as once:
        made = Books(once, directory / 'gate')
        worker = once.start('-Q', 'once,celery', '-c', '2', lease=3)
        made.send()
        with Cancelling(made.url) as cancelling:
            cancelling.cancel([made.ids['cancelled']])
        made.wait()
        yield made
        made.gate.touch()
        worker.stop()


@pytest.mark.parametrize(
    ('name', 'standing', 'runs'),
    [
        ('succeeded', 'succeeded', 1),
        ('failed', 'failed', 1),
        ('retrying', 'retrying', 1),
        ('waiting', 'waiting', None),
        ('expired', 'expired', None),
        ('expired unseen', 'expired', None),
        ('queued', 'queued', None),
        ('unknown', 'unknown', None),
        ('cancelled', 'cancelled', None),
        ('retried', 'succeeded', 3),
        ('running', 'running', 1),
        ('failed step', 'failed', 1),
        ('step that was not sent', 'cancelled', 0),
        ('body', 'succeeded', 1),
        ('body that was not sent', 'cancelled', 0),
    ],
)
def test_what_has_become_of_a_task(books: Books, name: str, standing: str, runs: int | None) -> None:
    task = books[name]
    assert (task.standing, task.runs) == (standing, runs)
    assert task.standing in STANDINGS
    assert (task.started is None) == (not runs)
    assert (task.sent is None) == (name.endswith('not sent'))
    assert (task.worker is None) == (not runs)


def test_how_long_it_waited_and_ran(books: Books) -> None:
    """The monitor stored the tasks when they had ended, which changes nothing."""
    ended = books['succeeded']
    assert ended.first_seen is not None
    assert ended.date_done is not None
    assert ended.first_seen > ended.date_done
    assert ended.waited is not None
    assert ended.started is not None
    assert ended.eta is not None
    assert ended.waited == pytest.approx((ended.started - ended.eta).total_seconds(), abs=0.001)
    assert 0.2 <= (ended.ran or 0) == pytest.approx((ended.date_done - ended.started).total_seconds(), abs=0.001)
    assert (ended.worker or '').startswith('w1@here#')


def test_how_long_it_runs(books: Books) -> None:
    first, second = books['running'].ran, books['running'].ran
    assert first is not None
    assert second is not None
    assert 0 < first < second


def test_only_the_latest_try_has_waited(books: Books) -> None:
    """The message of the retry is stored already, and the result is that of the try before."""
    assert books['retrying'].waited is None
    # Celery does not store when a try ended that is retried.
    assert books['retrying'].ran is None
    assert (books['retried'].waited or 0) >= 0


def test_the_end_of_a_chord_is_known(books: Books) -> None:
    with TrackedTasks(books.url) as tracked:
        unlocks = tracked.page(Filter(name='celery.chord_unlock'), 10)
    assert [(task.status, task.standing) for task in unlocks] == 2 * [('SUCCESS', 'succeeded')]


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_task_is_lost_when_its_worker_is_killed(
    broker: Broker, upgraded: Database, processes: Processes, tmp_path: Path
) -> None:
    with service(broker, upgraded, processes) as once:
        books = Books(once, tmp_path / 'gate')
        worker = once.start('-Q', 'once', '-c', '1', lease=3)
        books.ids['lost'] = once.send('plain', str(books.gate))
        once.wait_for_state(books.ids['lost'], 'STARTED')
        assert books['lost'].standing == 'running'
        worker.kill()
        # Its lease ends, and a minute goes by.
        upgraded.execute("UPDATE celery_taskmeta SET lease = lease - interval '64 seconds'")
        assert books['lost'].standing == 'lost'


HOUR = timedelta(hours=1)
ROWS: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    ('succeeded', {}, {'status': 'SUCCESS'}),
    ('failed', {}, {'status': 'FAILURE'}),
    ('failed', {}, {'status': 'FAILURE', 'runs': 1}),
    ('cancelled', {}, {'status': 'FAILURE', 'runs': 0}),
    ('cancelled', {}, {'status': 'REVOKED', 'result': b'{"exc_message": ["terminated"]}'}),
    ('cancelled', {}, {'status': 'REVOKED', 'result': b'\xff'}),
    ('cancelled', {}, {'status': 'REVOKED'}),
    ('expired', {}, {'status': 'REVOKED', 'result': b'{"exc_message": ["expired"]}'}),
    ('retrying', {}, {'status': 'RETRY'}),
    ('running', {}, {'status': 'STARTED'}),
    ('running', {}, {'status': 'PROGRESS'}),
    ('running', {}, {'status': 'STARTED', 'lease': -timedelta(seconds=50)}),
    ('lost', {}, {'status': 'STARTED', 'lease': -timedelta(seconds=70)}),
    ('lost', {}, {'status': 'PROGRESS', 'lease': -HOUR}),
    ('queued', {}, {'status': 'RECEIVED'}),
    ('queued', {}, {'status': 'PENDING'}),
    ('queued', {}, None),
    ('queued', {'eta': -HOUR, 'expires': HOUR, 'options': {'ignore_result': False}}, None),
    ('waiting', {'eta': HOUR}, None),
    ('waiting', {'eta': HOUR, 'options': {'ignore_result': True}}, None),
    ('expired', {'expires': -HOUR}, None),
    ('expired', {'expires': -HOUR, 'eta': HOUR}, None),
    ('unknown', {'options': {'ignore_result': True}}, None),
    ('unknown', {'options': {'ignore_result': True}, 'expires': -HOUR}, None),
    ('queued', {'options': {'ignore_result': 'no boolean'}}, None),
]


def test_both_databases_say_the_same(tasks: TaskDatabase) -> None:
    """Rows of every kind, as workers write them."""
    now = datetime.now(UTC)
    for number, (_, message, result) in enumerate(ROWS):
        times = {key: now + value if isinstance(value, timedelta) else value for key, value in message.items()}
        schedule(tasks, f'{number}', **times)
        for task_id in (f'{number}', f'result {number}') if result else ():
            values = {key: now + value if isinstance(value, timedelta) else value for key, value in result.items()}
            store(tasks, task_id, **values)
    with TrackedTasks(tasks.url) as tracked:
        for number, (standing, _, result) in enumerate(ROWS):
            task = tracked.get(f'{number}')
            assert task is not None
            assert task.standing == standing, ROWS[number]
            alone = tracked.get(f'result {number}')
            assert (alone and alone.standing) == (standing if result else None), ROWS[number]


def test_both_databases_count_alike(tasks: TaskDatabase) -> None:
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def after(seconds: float) -> datetime:
        return noon + timedelta(seconds=seconds)

    schedule(tasks, 'sent', sent=after(0))
    schedule(tasks, 'planned', sent=after(0), eta=after(10))
    schedule(tasks, 'planned by others', eta=after(10))
    schedule(tasks, 'fast clock', sent=after(30))
    schedule(tasks, 'late monitor', sent=after(0), retries=1)
    schedule(tasks, 'replaced', sent=after(0), options={'replaced_task_nesting': 1})
    for task_id in ('sent', 'planned', 'planned by others', 'fast clock', 'late monitor', 'replaced'):
        store(tasks, task_id, started=after(20), retries=0, replaced=0, runs=1)
    table, _ = result_tables({}, {})
    tasks.execute(sa.update(table).values(date_done=after(22.5).replace(tzinfo=None)))
    with TrackedTasks(tasks.url) as tracked:
        found = {task.task_id: task for task in tracked.page(Filter(), 10)}
    waited = {task_id: task.waited and round(task.waited, 3) for task_id, task in found.items()}
    assert waited == {
        'sent': 20,
        'planned': 10,
        'planned by others': 10,
        'fast clock': -10,
        'late monitor': None,
        'replaced': None,
    }
    assert {round(task.ran or 0, 3) for task in found.values()} == {2.5}
