"""The roles, the connections and the pooler behave as the how-to for PostgreSQL says."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from cadasta.workertoolbox.database import roles
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.results.cancelling import Cancelling
from rig.monitor.databases import url_of
from rig.servers.filesystem import FilesystemBroker
from rig.servers.postgres import Database, Postgres
from rig.servers.process import Process, Processes, accepts_connections, free_port, wait_until
from rig.servers.programs import find_program

from .manual import Manual
from .service import SEND, Service, variables
from .terminal import Terminal

pytestmark = pytest.mark.slow

PAGE = 'howto/postgresql'
PAGES = [PAGE, 'howto/migrating']
PASSWORD = 'correct-horse'
ROLES = ('export', 'monitor', 'reader', 'janitor', 'operator', 'cadasta')
FORBIDDEN = (
    ('export', 'SELECT FROM celery_task'),
    ('export', 'DELETE FROM celery_taskmeta'),
    ('monitor', 'SELECT FROM celery_taskmeta'),
    ('monitor', 'DELETE FROM celery_task'),
    ('janitor', "UPDATE celery_taskmeta SET status = 'SUCCESS'"),
    ('janitor', 'INSERT INTO celery_task (task_id) VALUES (1)'),
    ('reader', 'SELECT FROM celery_taskmeta'),
    ('reader', "UPDATE celery_taskmeta SET status = 'SUCCESS'"),
    ('reader', 'DELETE FROM celery_task'),
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FilesystemBroker]:
    broker = FilesystemBroker(tmp_path)
    yield broker
    broker.close()


@pytest.fixture
def database(manual: Manual, postgres: Postgres) -> Iterator[Database]:
    """An empty database of the name that the manual uses."""
    database = Database(postgres, 'cadasta', PASSWORD)
    database.role = 'export'
    with postgres.connect('postgres') as cursor:
        cursor.execute('CREATE DATABASE cadasta')
    yield database
    with postgres.connect('postgres') as cursor:
        cursor.execute('DROP DATABASE cadasta WITH (FORCE)')
        for role in ROLES:
            cursor.execute(f'DROP ROLE IF EXISTS {role}')


@pytest.fixture
def terminal(database: Database, processes: Processes) -> Terminal:
    """The terminal of the owner of the tables. The packages that the manual installs are there already."""
    service = Service(processes, {'TOOLBOX_DATABASE': url_of(database), 'PIP_NO_INDEX': '1'})
    return Terminal(processes, service.environment, service.directory)


@pytest.fixture
def service(
    manual: Manual,
    database: Database,
    broker: FilesystemBroker,
    terminal: Terminal,
    processes: Processes,
) -> Service:
    """A service whose roles were made by the manual."""
    service = Service(processes, {**broker.environment, **database.environment})
    for block in manual.blocks(PAGE):
        if block.language == 'console':
            terminal.follow(block)
        elif block.language == 'sql':
            database.execute(block.text)
    return service


def test_roles_and_connections(manual: Manual, service: Service, database: Database) -> None:
    service.run('-c', SEND)
    shown: dict[str, Any] = {}
    exec(manual.blocks(PAGE, 'python')[0].text, shown)
    options = json.dumps(shown['config'].database_engine_options)
    worker = service.worker('-c', '3', CELERY_DATABASE_ENGINE_OPTIONS=options)
    service.wait_until_stored(url_of(database), 4)

    def connections(role: str) -> int:
        return int(database.execute('SELECT count(*) FROM pg_stat_activity WHERE usename = %s', role)[0][0])

    # Two for each child, of which one is for reading, and one for the leases.
    assert 1 <= connections('export') <= 2 * 3 + 1
    monitor = service.start(
        '-m', 'celery', '-A', 'export', 'toolbox', 'monitor', TOOLBOX_DATABASE=url_of(database, 'monitor', PASSWORD)
    )
    monitor.wait_for('Ready: ')
    assert connections('monitor') == 1
    wait_until(
        lambda: database.execute(
            "SELECT 1 FROM celery_task_status WHERE name = 'export.project' AND status = 'SUCCESS' HAVING count(*) = 3"
        ),
        'the tasks to be tracked',
    )
    assert monitor.stop() == 0
    assert worker.stop() == 0
    wait_until(lambda: connections('export') == 0, 'the worker to leave the database')


def test_the_page_shows_the_grants_of_a_worker(manual: Manual) -> None:
    (block,) = (block for block in manual.blocks(PAGE, 'sql') if 'task_id_sequence' in block.content)
    grants = [' '.join(statement.split()) for statement in block.content.split(';') if statement.strip()]
    steps = list(roles.role_steps('export', roles.worker, {}, {}))
    assert grants == [str(step.statements[-1]) for step in steps[1:]]


def test_roles_may_do_what_they_need_and_no_more(service: Service, database: Database) -> None:
    with database.server.connect('cadasta', 'reader', PASSWORD) as cursor:
        for table in ('celery_task_status', 'celery_task_scheduled', 'celery_task', 'celery_task_rejected'):
            cursor.execute(f'SELECT * FROM {table}')
    with database.server.connect('cadasta', 'janitor', PASSWORD) as cursor:
        for table in ('celery_task', 'celery_task_rejected', 'celery_taskmeta', 'celery_tasksetmeta'):
            cursor.execute(f'DELETE FROM {table}')
    for role, statement in FORBIDDEN:
        with (
            database.server.connect('cadasta', role, PASSWORD) as cursor,
            pytest.raises(psycopg2.errors.InsufficientPrivilege),
        ):
            cursor.execute(statement)


def test_a_role_that_cancels_tasks_and_sends_them_again(manual: Manual, database: Database) -> None:
    upgrade(url_of(database), reader_role='operator')
    grants, _, _ = manual.blocks(PAGE, 'postgresql')
    database.execute(grants.text)
    database.execute("ALTER ROLE operator PASSWORD 'correct-horse'")
    with Cancelling(url_of(database, 'operator', PASSWORD)) as cancelling:
        assert cancelling.cancel(['a']) == {'a'}
    with database.server.connect('cadasta', 'operator', PASSWORD) as cursor:
        cursor.execute('SELECT standing FROM celery_task_status')
        assert cursor.fetchall() == [('cancelled',)]
        cursor.execute("UPDATE celery_task SET resent = 1 WHERE task_id = 'a' AND body IS NOT NULL")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("UPDATE celery_task SET name = 'other'")


def test_a_service_gets_another_role(manual: Manual, database: Database) -> None:
    _, both, protect = manual.blocks(PAGE, 'postgresql')
    upgrade(url_of(database))
    store = 'INSERT INTO celery_taskmeta (id, task_id, status, role) VALUES (%s, %s, %s, %s)'
    for number, row in enumerate([('shared', 'RETRY', 'cadasta'), ('old', 'SUCCESS', None), ('begun', 'RETRY', None)]):
        database.execute(store, number, *row)
    for role in ('cadasta', 'export'):
        upgrade(url_of(database), worker_role=role)

    def count() -> int:
        with database.server.connect('cadasta') as cursor:
            cursor.execute("SET ROLE export; UPDATE celery_taskmeta SET status = 'RETRY'")
            return int(cursor.rowcount)

    assert count() == 2
    database.execute(both.text)
    assert count() == 3
    database.execute("UPDATE celery_taskmeta SET status = 'SUCCESS' WHERE task_id = 'old'")
    database.execute(protect.text)
    upgrade(url_of(database), worker_role='export')
    assert count() == 1


@pytest.fixture
def pgbouncer(manual: Manual, database: Database, processes: Processes) -> int:
    """The port of a PgBouncer that runs with the files of the manual, except for the addresses."""
    program = find_program('pgbouncer')
    shown = variables('\n'.join(block.text for block in manual.blocks(PAGE, 'sh')))
    port, directory = free_port(), database.server.directory / 'pgbouncer'
    directory.mkdir()
    users = directory / 'userlist.txt'
    users.write_text(manual.file(PAGE, 'userlist.txt'))
    configuration = directory / 'pgbouncer.ini'
    configuration.write_text(
        manual.file(PAGE, 'pgbouncer.ini')
        .replace('host=db.example.org', 'host=127.0.0.1')
        .replace('port=5432', f'port={database.server.port}')
        .replace(shown['RESULT_DB_PORT'], str(port))
        .replace('/etc/pgbouncer/userlist.txt', str(users))
    )
    user = pwd.getpwnam('nobody') if os.geteuid() == 0 else None
    server = Process([program, str(configuration)], processes.logs / 'pgbouncer.log', {}, directory, user)
    processes.started.append(server)
    wait_until(lambda: accepts_connections(port) or not server.is_running, 'PgBouncer to accept connections')
    assert server.is_running, server.log
    return port


def test_workers_share_connections(service: Service, database: Database, pgbouncer: int) -> None:
    service.run('-c', SEND)
    worker = service.worker('-c', '3', RESULT_DB_PORT=str(pgbouncer))
    service.wait_until_stored(url_of(database), 4)
    assert worker.stop() == 0, worker.log


@pytest.mark.parametrize('page', ['howto/migrating', 'explanation/scale'])
def test_commands_of_other_pages(manual: Manual, terminal: Terminal, database: Database, page: str) -> None:
    for block in manual.blocks(page, 'console'):
        terminal.follow(block)
    assert database.execute('SELECT count(*) FROM celery_task_status') == [(0,)]
