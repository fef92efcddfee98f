"""A monitor makes rows of workers of their reports, and never leaves out a task for them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import ProgrammingError

from cadasta.workertoolbox.database import roles
from cadasta.workertoolbox.database.tables import workers
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.monitor import presence
from cadasta.workertoolbox.monitor import reports as reports_module
from cadasta.workertoolbox.monitor.message import Message
from cadasta.workertoolbox.monitor.optional_table import OptionalTable
from cadasta.workertoolbox.monitor.presence import Lookout
from cadasta.workertoolbox.monitor.store import Store, Stored
from cadasta.workertoolbox.reports.message import HEADER, MAX_BODY, WorkerReport
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.postgres import Database

from ..monitor.messages import message
from .reports import report


def sent(made: WorkerReport, **changes: Any) -> Message:
    body = json.dumps({**made._asdict(), **changes}).encode()
    return Message(1, body, {HEADER: 1}, {'content_type': 'application/json'}, f'worker.{made.boot}')


@pytest.fixture
def store(tasks: TaskDatabase) -> Iterator[Store]:
    with Store(tasks.url) as store:
        yield store


def boots(tasks: TaskDatabase) -> dict[str, Any]:
    return {row['boot']: row for row in tasks.execute('SELECT * FROM celery_worker')}


def test_the_latest_report_of_each_worker_is_kept(tasks: TaskDatabase, store: Store) -> None:
    one, other = report(name='one@here'), report()
    assert store.write([sent(one, number=2, done=20), sent(one), message(), sent(other)]) == Stored(1, 0)
    assert store.write([sent(one, number=1, done=10)]) == Stored(0, 0)
    rows = boots(tasks)
    assert rows.keys() == {one.boot, other.boot}
    assert (rows[one.boot]['name'], rows[one.boot]['number'], rows[one.boot]['done']) == ('one@here', 2, 20)
    assert rows[one.boot]['ended'] is None
    # The broker has delivered it again.
    store.write([sent(one, number=2)])
    assert boots(tasks) == rows
    store.write([sent(one, number=3, is_last=True)])
    assert boots(tasks)[one.boot]['first_seen'] == rows[one.boot]['first_seen'] < boots(tasks)[one.boot]['last_seen']
    # It came late.
    store.write([sent(one, number=2)])
    assert boots(tasks)[one.boot]['ended'] is not None
    assert [row['name'] for row in tasks.tasks().values()] == ['export.project']


@pytest.mark.parametrize(
    ('body', 'why'),
    [
        (b'', 'the body is not JSON'),
        (b'x' * MAX_BODY, 'the body is not JSON'),
        (b'x' * (MAX_BODY + 1), 'at most 65536 are read'),
        (b'{"task": "export.project", "id": "1"}', 'does not have the fields of one'),
    ],
)
def test_a_forged_report_is_kept_as_a_message_that_nobody_can_read(
    tasks: TaskDatabase, store: Store, body: bytes, why: str
) -> None:
    forged = Message(1, body, {HEADER: 1}, {'content_type': 'application/json'}, 'export')
    assert store.write([forged, message(), sent(report())]) == Stored(1, 1)
    assert [why in row['reason'] for row in tasks.rejected()] == [True]
    assert len(boots(tasks)) == 1


def test_reports_do_not_fill_the_table(
    tasks: TaskDatabase, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reports_module, 'MAX_ROWS', 3)
    known = report()
    store.write([sent(known)])
    store.write([sent(report()) for _ in range(2)])
    assert not caplog.messages
    store.write([sent(report()) for _ in range(3)])
    assert len(boots(tasks)) == 3
    assert 'gets no more: 3 new workers are not noted. Run `celery toolbox prune`.' in caplog.text
    store.write([sent(report()), sent(known, number=2)])
    store.write([sent(report())])
    assert len(boots(tasks)) == 3
    assert boots(tasks)[known.boot]['number'] == 2


def test_without_the_tables_tasks_are_stored(tasks: TaskDatabase, caplog: pytest.LogCaptureFixture) -> None:
    for table in ('celery_worker', 'celery_monitor'):
        tasks.execute(f'DROP TABLE {table}')
    with Store(tasks.url) as store:
        store.tell(0.0)
        assert store.write([message(), sent(report())]) == Stored(1, 0)
    assert caplog.text.count('Tasks are stored, but nothing is written into celery_worker: there is no such table') == 1


def test_a_table_that_the_role_may_not_use_is_left_alone(tasks: TaskDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """Another connection tries it again, and each connection says once what is wrong."""
    runs = []

    def run() -> None:
        runs.append(1)
        raise ProgrammingError('INSERT', {}, Exception('permission denied\n'))

    table = OptionalTable(workers)
    with tasks.engine.connect() as connection:
        table.attempt(connection, run)
        assert runs == []
        for number in (1, 2):
            table.prepare(connection)
            connection.rollback()
            for _ in range(2):
                table.attempt(connection, run)
            assert len(runs) == caplog.text.count('into celery_worker: permission denied.') == number


def test_without_the_rights_tasks_are_stored(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    upgrade(url_of(database), monitor_role=f'{database.name}_m')
    database.execute(f"ALTER ROLE {database.name}_m PASSWORD 'secret'")
    database.execute(f'GRANT CONNECT ON DATABASE {database.name} TO {database.name}_m')
    database.execute(f'REVOKE INSERT ON celery_worker, celery_monitor FROM {database.name}_m')
    with Store(url_of(database, f'{database.name}_m', 'secret')) as store:
        store.tell(0.0)
        for _ in range(2):
            assert store.write([message(), sent(report())]) == Stored(1, 0)
    assert caplog.text.count('into celery_worker: permission denied for table celery_worker') == 1
    assert caplog.text.count('into celery_monitor: permission denied for table celery_monitor') == 1


def test_the_roles_of_workers_may_not_touch_the_tables() -> None:
    assert not {'celery_worker', 'celery_monitor'} & {rights.name for rights in roles.worker({}, {})}


def monitors(tasks: TaskDatabase) -> list[Any]:
    return tasks.execute('SELECT * FROM celery_monitor')


def test_how_far_a_monitor_has_read(tasks: TaskDatabase, store: Store) -> None:
    store.tell(None)
    (row,) = monitors(tasks)
    assert (row['caught_up'], row['ended']) == (None, None)
    store.tell(3600.0)
    (first,) = monitors(tasks)
    store.tell(None)
    (second,) = monitors(tasks)
    assert second['caught_up'] == first['caught_up'] < row['first_seen'] == second['first_seen']
    store.tell(1e-7)
    store.tell(None, is_end=True)
    (last,) = monitors(tasks)
    assert first['caught_up'] < last['caught_up'] <= last['ended']


def test_monitors_that_run_each_minute_share_a_row(tasks: TaskDatabase) -> None:
    for _ in range(2):
        with Store(tasks.url, once=True) as store:
            store.tell(None)
            assert [row['ended'] for row in monitors(tasks)] == [None]
            store.tell(None, is_end=True)


class Source:
    """Says how many messages are left that were there when it was asked to note it."""

    backlog = 3
    marks = 0

    def mark(self) -> None:
        self.marks += 1

    def has_backlog(self) -> bool:
        return self.backlog > 0


class Told(list[Any]):
    """Gives what a monitor logs of itself."""

    def tell(self, caught_up: float | None, is_end: bool = False) -> None:
        self.append('end' if is_end else 'there' if caught_up is None else 'caught up')


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    with monkeypatch.context() as patch:
        patch.setattr(time, 'monotonic', lambda: now[0])
        yield now


def test_a_monitor_that_is_behind_says_that_it_is_there(clock: list[float]) -> None:
    source, told = Source(), Told()
    lookout = Lookout(source, told, once=False)  # type: ignore[arg-type]  # stand-ins
    lookout.look(is_empty=False)
    assert told == ['there']
    clock[0] += presence.EVERY
    lookout.look(is_empty=False)
    assert told == ['there', 'there']
    source.backlog = 0
    lookout.look(is_empty=False)
    lookout.look(is_empty=False)
    assert told == ['there', 'there', 'caught up']
    assert source.marks == 0
    clock[0] += presence.EVERY
    source.backlog = 2
    lookout.look(is_empty=False)
    assert source.marks == 1
    # Another monitor took the messages.
    lookout.look(is_empty=True)
    lookout.end()
    assert told == ['there', 'there', 'caught up', 'caught up', 'end']


def test_one_that_runs_once_goes_on_to_look_at_what_was_there_when_it_began(clock: list[float]) -> None:
    source, told = Source(), Told()
    source.backlog = 0
    lookout = Lookout(source, told, once=True)  # type: ignore[arg-type]  # stand-ins
    lookout.look(is_empty=False)
    clock[0] += 2 * presence.EVERY
    lookout.look(is_empty=False)
    assert told == ['there', 'caught up', 'there']
    assert source.marks == 0
