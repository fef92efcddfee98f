"""A service writes its own results, and nobody who may store results holds others up."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context
from celery.exceptions import Ignore
from psycopg2 import errors

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.monitor.message import Message
from cadasta.workertoolbox.monitor.store import Store, Stored
from cadasta.workertoolbox.results import identity
from cadasta.workertoolbox.results.backend import Dropped
from cadasta.workertoolbox.results.cancelling import Cancelling
from cadasta.workertoolbox.results.claim import Answer, Claim, Impossible, Over
from rig.monitor.databases import url_of
from rig.servers.postgres import Database, Postgres

from ..monitor.messages import message

PASSWORD = 'secret'
TABLE = 'celery_taskmeta'
INSERT = f"INSERT INTO {TABLE} (id, task_id, status) VALUES (nextval('task_id_sequence'), %s, %s)"


class Services:
    """A database in which two services have a role each, made by `toolbox tables`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        for service in ('export', 'msg'):
            role = self.role(service)
            upgrade(url_of(database), worker_role=role)
            database.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
            database.execute(f'GRANT CONNECT ON DATABASE {database.name} TO {role}')

    def role(self, service: str) -> str:
        return f'{self.database.name}_{service}'

    @contextmanager
    def session(self, service: str) -> Iterator[Any]:
        with self.database.server.connect(self.database.name, self.role(service), PASSWORD) as cursor:
            yield cursor

    def insert(self, service: str, state: str) -> str:
        """Stores a row of a new task; gives its id."""
        task_id = uuid.uuid4().hex
        with self.session(service) as cursor:
            cursor.execute(INSERT, (task_id, state))
        return task_id

    def url(self, service: str) -> str:
        return url_of(self.database, self.role(service), PASSWORD)

    def backend(self, service: str, **settings: Any) -> Any:
        app = Celery(service, set_as_current=False)
        app.config_from_object(Config(broker_url='memory://', result_backend=f'db+{self.url(service)}', **settings))
        return app.backend

    def row(self, task_id: str) -> tuple[Any, ...]:
        (row,) = self.database.execute(f'SELECT status, role FROM {TABLE} WHERE task_id = %s', task_id)
        return row


@pytest.fixture(scope='module')
def services(postgres: Postgres) -> Services:
    return Services(postgres.create_database())


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process starts tasks."""
    monkeypatch.setattr(identity, 'name', lambda: 'worker@here#1')


# Statements


@pytest.mark.parametrize(
    'statement',
    [
        f"UPDATE {TABLE} SET task_id = 'other'",
        f'UPDATE {TABLE} SET id = 1',
        f"UPDATE {TABLE} SET role = 'other' WHERE task_id = 'mine'",
        f"INSERT INTO {TABLE} (id, task_id, role) VALUES (1, 'other', 'other')",
        f"INSERT INTO {TABLE} (id, task_id) VALUES (1, 'theirs') ON CONFLICT (task_id) DO UPDATE SET status = 'X'",
        f'DELETE FROM {TABLE}',
        f'LOCK TABLE {TABLE} IN SHARE UPDATE EXCLUSIVE MODE',
        f'LOCK TABLE {TABLE} IN SHARE MODE',
        f'LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE',
        'LOCK TABLE celery_toolbox IN ACCESS SHARE MODE',
        "SELECT setval('task_id_sequence', 1)",
        'ALTER SEQUENCE task_id_sequence RESTART',
        f'ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY',
        f'DROP POLICY change_own_rows ON {TABLE}',
        f'CREATE POLICY mine ON {TABLE} USING (true)',
    ],
)
def test_refused(services: Services, statement: str) -> None:
    with services.session('export') as cursor:
        cursor.execute(f'{INSERT} ON CONFLICT DO NOTHING', ('theirs', 'STARTED'))
    with services.session('msg') as cursor:
        cursor.execute(f'{INSERT} ON CONFLICT DO NOTHING', ('mine', 'STARTED'))
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute(f'BEGIN; {statement}')


def test_a_service_changes_its_own_rows(services: Services) -> None:
    theirs, mine = services.insert('export', 'STARTED'), services.insert('msg', 'STARTED')
    with services.session('msg') as cursor:
        for task_id, count in ((theirs, 0), (mine, 1)):
            cursor.execute(f"UPDATE {TABLE} SET status = 'FAILURE' WHERE task_id = %s", (task_id,))
            assert cursor.rowcount == count
            # A lock on a row would hold up who writes it.
            for lock in ('UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE'):
                cursor.execute(f'SELECT FROM {TABLE} WHERE task_id = %s FOR {lock}', (task_id,))
                assert cursor.rowcount == count
        # A chord of this service needs the results of others.
        cursor.execute(f'SELECT status FROM {TABLE} WHERE task_id = %s', (theirs,))
        assert cursor.fetchall() == [('STARTED',)]


def test_a_task_that_was_never_started_belongs_to_nobody(services: Services) -> None:
    """Another service may get it, when somebody has sent it again."""
    task_id = uuid.uuid4().hex
    services.backend('export').store_result(task_id, KeyError('the one before'), 'FAILURE')
    assert services.row(task_id) == ('FAILURE', None)
    services.backend('msg').store_result(task_id, 7, 'SUCCESS')
    assert services.row(task_id) == ('SUCCESS', None)


def test_who_may_change_the_whole_table_changes_all_rows(services: Services) -> None:
    """A role with the rights of version 1.0 goes on as before, and so do those who cancel and send again."""
    role = services.database.role
    task_id = services.insert('export', 'STARTED')
    with Cancelling(url_of(services.database, role, services.database.password)) as cancelling:
        assert cancelling.cancel([task_id, 'not begun']) == {task_id, 'not begun'}
    assert services.row(task_id) == ('REVOKED', services.role('export'))
    assert services.row('not begun') == ('REVOKED', None)


def test_a_service_cancels_no_task_of_another(services: Services) -> None:
    theirs, mine = services.insert('export', 'STARTED'), services.insert('msg', 'STARTED')
    with Cancelling(services.url('msg')) as cancelling:
        assert cancelling.cancel([mine]) == {mine}
        with pytest.raises(NotUsable, match='refuses to cancel a task: new row violates row-level security policy'):
            cancelling.cancel([theirs])


def test_numbers_last(services: Services) -> None:
    """Nobody can use up 2**63 numbers."""
    with services.session('msg') as cursor:
        cursor.execute("SELECT max_value FROM pg_sequences WHERE sequencename = 'task_id_sequence'")
        assert cursor.fetchall() == [(2**63 - 1,)]
        cursor.execute(
            f"SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = '{TABLE}'::regclass AND attname = 'id'"
        )
        assert cursor.fetchall() == [('bigint',)]


def test_grants_of_version_1_0_are_narrowed(database: Database) -> None:
    """The role that shall have a part of its rights has them at any moment."""
    with database.server.connect(database.name, database.role, database.password) as cursor:
        cursor.execute(INSERT, ('1', 'STARTED'))
        for _ in range(2):
            upgrade(url_of(database), worker_role=database.role)
            cursor.execute(f"UPDATE {TABLE} SET status = 'RETRY' WHERE task_id = '1'")
            assert cursor.rowcount == 1
            with pytest.raises(errors.InsufficientPrivilege):
                cursor.execute(f"UPDATE {TABLE} SET task_id = '2'")


@pytest.mark.parametrize('table', ['celery_task', 'celery_task_rejected', 'celery_worker', 'celery_monitor'])
def test_grants_of_older_monitors_are_narrowed(services: Services, table: str) -> None:
    """A monitor may store, and lock no table. It is at work while the rights are narrowed."""
    database = services.database
    role = f'{database.name}_monitor'
    upgrade(url_of(database), monitor_role=role)
    database.execute(f'GRANT UPDATE ON {table} TO {role}')
    database.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
    database.execute(f'GRANT CONNECT ON DATABASE {database.name} TO {role}')
    lock = f'BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE NOWAIT; ROLLBACK'
    with Store(url_of(database, role, PASSWORD)) as store, services.session('monitor') as cursor:
        cursor.execute(lock)
        upgrade(url_of(database), monitor_role=role)
        upgrade(url_of(database), monitor_role=role)
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute(lock)
        cursor.execute('ROLLBACK')
        for key in ('task_id', 'digest', 'boot', 'resent'):
            with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedColumn)):
                cursor.execute(f'UPDATE {table} SET {key} = NULL')
        for _ in range(2):
            assert store.write([message(table), Message(1, b'', {'id': table})]) == Stored(1, 1)
            store.tell(0.0)


# The backend


def start(backend: Any, task_id: str) -> Answer:
    """Stores that a task has started; gives the answer of the database."""
    request = Context(id=task_id, delivery_info={}, called_directly=False)
    backend.store_result(task_id, {}, 'STARTED', request=request)
    found: Answer = request.toolbox_claim
    return found


@pytest.mark.parametrize('state', ['PENDING', 'STARTED', 'RETRY'])
def test_a_task_of_another_service_is_not_claimed(services: Services, worker: None, state: str) -> None:
    task_id = services.insert('export', state)
    answer = start(services.backend('msg'), task_id)
    assert isinstance(answer, Impossible)
    assert answer.reason == (f'its row belongs to role {services.role("export")}, and this worker has another role')
    assert services.row(task_id) == (state, services.role('export'))
    ended = services.insert('export', 'SUCCESS')
    assert isinstance(start(services.backend('msg'), ended), Over)


def test_states_of_a_task_of_another_service(services: Services, worker: None) -> None:
    task_id = services.insert('export', 'STARTED')
    with pytest.raises(Dropped, match='belongs to another role'):
        services.backend('msg').store_result(task_id, 7, 'SUCCESS')
    assert services.row(task_id)[0] == 'STARTED'


def test_without_claims_a_row_of_another_service_is_left_alone(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    backend = services.backend('msg', RUN_ONCE=False)
    task_id = services.insert('export', 'STARTED')
    backend.store_result(task_id, 7, 'SUCCESS')
    assert f'The state SUCCESS of task {task_id} is not stored: its row belongs to another role' in caplog.text
    assert services.row(task_id)[0] == 'STARTED'


@pytest.mark.parametrize('has_role', [True, False])
def test_without_claims_a_number_that_is_taken_is_no_row_of_another(database: Database, has_role: bool) -> None:
    database.execute(INSERT, 'first', 'SUCCESS')
    if not has_role:
        database.execute(f'ALTER TABLE {TABLE} DROP role')
    database.execute("SELECT setval('task_id_sequence', 1, false)")
    app = Celery('plain', set_as_current=False)
    url = url_of(database, database.role, database.password)
    app.config_from_object(Config(broker_url='memory://', result_backend=f'db+{url}', RUN_ONCE=False))
    app.backend.store_result('second', 7, 'SUCCESS')
    assert database.states() == {'first': 'SUCCESS', 'second': 'SUCCESS'}


def test_a_replacement_in_another_service(services: Services, worker: None) -> None:
    """It has the id of the task that it replaces, and may come before that task is over."""
    task_id = uuid.uuid4().hex
    exporting, messaging = services.backend('export'), services.backend('msg')
    request = Context(id=task_id, delivery_info={}, called_directly=False)
    exporting.store_result(task_id, {}, 'STARTED', request=request)
    claim = request.toolbox_claim
    assert isinstance(claim, Claim)
    exporting.disown(task_id, claim)
    assert services.row(task_id) == ('STARTED', None)
    later = Context(id=task_id, delivery_info={}, called_directly=False, replaced_task_nesting=1)
    messaging.store_result(task_id, {}, 'STARTED', request=later)
    assert later.toolbox_claim == Claim(2)
    with pytest.raises(Dropped):
        exporting.store_result(task_id, Ignore(), 'RETRY', request=request)
    messaging.store_result(task_id, 7, 'SUCCESS', request=later)
    assert services.row(task_id) == ('SUCCESS', services.role('msg'))
