"""Tables, view and roles: made once, upgraded in place, and no more allowed than need be."""

from __future__ import annotations

import json
import pickle
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from psycopg2 import errors

from cadasta.workertoolbox.database.steps import NO_PICKLE
from cadasta.workertoolbox.database.upgrade import outbox_script, script, upgrade_outbox
from cadasta.workertoolbox.database.views import SCHEDULED_VIEW, VIEW
from cadasta.workertoolbox.monitor import NotUsable, upgrade
from cadasta.workertoolbox.monitor.store import Store
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.environment import clean_environment
from rig.servers.postgres import Database, Postgres

from ..monitor.messages import message

ROLES = ('worker_role', 'monitor_role', 'janitor_role', 'reader_role')
NAMES = {'task': 'Results %', 'group': 'groups'}
SCHEMAS = {'task': 'platform', 'group': 'platform'}


# The view before there was `celery_task_scheduled`.
VIEW_OF_BEFORE = """
CREATE VIEW celery_task_status AS
SELECT t.task_id, COALESCE(r.status, 'PENDING') AS status, r.date_done, r.result, r.traceback, {columns}
FROM celery_task t LEFT JOIN celery_taskmeta r ON r.task_id = t.task_id
UNION ALL
SELECT r.task_id, r.status, r.date_done, r.result, r.traceback, {columns}
FROM celery_taskmeta r LEFT JOIN celery_task t ON t.task_id = r.task_id WHERE t.task_id IS NULL
""".format(
    columns=', '.join(
        f't.{name}'
        for name in (
            'name',
            'args',
            'kwargs',
            'root_id',
            'parent_id',
            'group_id',
            'routing_key',
            'eta',
            'expires',
            'retries',
            'timelimit',
            'origin',
            'options',
            'first_seen',
            'last_seen',
        )
    )
)


def test_again_and_at_once(database: Database) -> None:
    url = url_of(database)
    for table in ('celery_taskmeta', 'celery_tasksetmeta'):
        database.execute(f'DROP TABLE {table}')
    for sequence in ('task_id_sequence', 'taskset_id_sequence'):
        database.execute(f'DROP SEQUENCE {sequence}')
    failures: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(url, worker_role='at_once', monitor_role='at_once_monitor')
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(sa.inspect(sa.create_engine(url)).get_table_names()) == [
        'celery_monitor',
        'celery_task',
        'celery_task_rejected',
        'celery_taskmeta',
        'celery_tasksetmeta',
        'celery_toolbox',
        'celery_worker',
    ]


def test_an_older_table_of_results_gets_the_columns_that_it_lacks(database: Database) -> None:
    database.execute('ALTER TABLE celery_taskmeta DROP COLUMN children, DROP COLUMN stamps, DROP COLUMN worker')
    upgrade(url_of(database))
    columns = sa.inspect(sa.create_engine(url_of(database))).get_columns('celery_taskmeta')
    assert {'children', 'stamps', 'worker'} <= {column['name'] for column in columns}


def test_tables_and_views_of_version_1_0(tasks: TaskDatabase) -> None:
    columns = {'celery_task': ('sent', 'body', 'resent'), 'celery_taskmeta': ('started', 'lease', 'runs', 'replaced')}
    for view in (VIEW, SCHEDULED_VIEW):
        tasks.execute(f'DROP VIEW {view}')
    for table, names in columns.items():
        for name in names:
            tasks.execute(f'ALTER TABLE {table} DROP COLUMN {name}')
    tasks.execute(VIEW_OF_BEFORE)
    upgrade(tasks.url)
    with Store(tasks.url) as store:
        store.write([message()])
    assert [row['standing'] for row in tasks.execute(f'SELECT * FROM {VIEW}')] == ['queued']


def test_numbers_of_64_bits(database: Database) -> None:
    def types() -> set[tuple[str]]:
        return set(database.execute("SELECT data_type FROM information_schema.columns WHERE column_name = 'id'"))

    for table in ('celery_taskmeta', 'celery_tasksetmeta'):
        database.execute(f'ALTER TABLE {table} ALTER id TYPE integer')
    upgrade(url_of(database))
    # PostgreSQL would write a table anew to change it, while everybody waits.
    assert types() == {('integer',)}
    database.execute('DROP TABLE celery_taskmeta, celery_tasksetmeta CASCADE')
    database.execute('DROP SEQUENCE task_id_sequence, taskset_id_sequence')
    upgrade(url_of(database))
    assert types() == {('bigint',)}
    assert set(database.execute('SELECT data_type FROM information_schema.sequences')) == {('bigint',)}


def test_a_view_that_somebody_has_changed_is_replaced(postgresql: TaskDatabase, upgraded: Database) -> None:
    def definition() -> list[tuple[str]]:
        return upgraded.execute(f"SELECT pg_get_viewdef('{SCHEDULED_VIEW}'::regclass)")

    before = definition()
    upgraded.execute(f'CREATE OR REPLACE VIEW {SCHEDULED_VIEW} AS {before[0][0].rstrip(";")} WHERE false')
    assert definition() != before
    upgrade(postgresql.url)
    assert definition() == before


def test_a_view_that_people_were_granted_is_upgraded(database: Database) -> None:
    upgrade(url_of(database))
    for view in ('celery_task_status', 'celery_task_scheduled'):
        database.execute(f'DROP VIEW {view}')
    database.execute(VIEW_OF_BEFORE)
    database.execute(f'GRANT SELECT ON celery_task_status TO {database.role}')
    for _ in range(2):
        upgrade(url_of(database))
        assert database.execute_as_worker('SELECT * FROM celery_task_status') == []
    assert database.execute("SELECT to_regclass('celery_task_scheduled') IS NOT NULL") == [(True,)]


def test_the_view_has_one_row_for_each_task(tasks: TaskDatabase) -> None:
    with Store(tasks.url) as store:
        store.write([message('scheduled'), message('done', 'a.b', 7)])
    insert = 'INSERT INTO celery_taskmeta (id, task_id, status, result) VALUES (:id, :task_id, :status, :result)'
    tasks.execute(insert, id=1, task_id='done', status='SUCCESS', result=b'42')
    tasks.execute(insert, id=2, task_id='early', status='STARTED', result=None)
    rows = {row['task_id']: row for row in tasks.execute('SELECT * FROM celery_task_status')}
    assert {name: (row['status'], row['name']) for name, row in rows.items()} == {
        'scheduled': ('PENDING', 'export.project'),
        'done': ('SUCCESS', 'a.b'),
        'early': ('STARTED', None),
    }
    assert bytes(rows['done']['result']) == b'42'
    args = rows['done']['args']
    assert (json.loads(args) if isinstance(args, str) else args) == [7]


def test_the_view_uses_indexes(postgresql: TaskDatabase) -> None:
    with postgresql.engine.begin() as connection:
        connection.execute(sa.text('SET enable_seqscan = off'))
        for query, index in [
            ("SELECT * FROM celery_task_status WHERE task_id = 'x'", 'celery_task_pkey'),
            ("SELECT * FROM celery_task WHERE root_id = 'x'", 'ix_celery_task_root_id'),
            ("SELECT * FROM celery_task WHERE group_id = 'x'", 'ix_celery_task_group_id'),
            ("SELECT * FROM celery_task_scheduled WHERE name LIKE 'x.%' LIMIT 5", 'ix_celery_task_name'),
            ("SELECT * FROM celery_task_scheduled WHERE routing_key = 'x' LIMIT 5", 'ix_celery_task_routing_key'),
            ("SELECT * FROM celery_task_scheduled WHERE status = 'FAILURE' LIMIT 5", 'ix_celery_taskmeta_status'),
            ('SELECT * FROM celery_task_scheduled ORDER BY first_seen DESC LIMIT 5', 'ix_celery_task_first_seen'),
            ('SELECT * FROM celery_task ORDER BY first_seen DESC LIMIT 5', 'ix_celery_task_first_seen'),
        ]:
            plan = '\n'.join(row[0] for row in connection.execute(sa.text(f'EXPLAIN {query}')))
            assert index in plan
            assert 'Seq Scan' not in plan


def test_names_and_schemas_of_the_app(database: Database) -> None:
    database.execute('CREATE SCHEMA platform')
    database.execute('DROP TABLE celery_taskmeta')
    upgrade(url_of(database), NAMES, SCHEMAS, worker_role=database.role)
    database.execute_as_worker(
        'INSERT INTO platform."Results %%" (id, task_id) VALUES (nextval(\'platform.task_id_sequence\'), %s)', 'x'
    )
    assert database.execute('SELECT task_id FROM celery_task_status') == [('x',)]


@pytest.mark.parametrize('role', ["o'brien %s", 'Semi;colon"', '$create$', ':name', 'a$b'])
def test_roles_of_any_name(database: Database, role: str) -> None:
    for _ in range(2):
        upgrade(url_of(database), **dict.fromkeys(ROLES, role))
    database.execute(f"""SET ROLE "{role.replace('"', '""')}"; SELECT * FROM celery_taskmeta""")


@pytest.mark.process
@pytest.mark.parametrize(('names', 'schemas'), [({}, {}), (NAMES, SCHEMAS)])
def test_the_script_does_the_same(database: Database, names: dict[str, str], schemas: dict[str, str]) -> None:
    database.execute('CREATE SCHEMA platform')
    roles = dict(zip(ROLES, ('script %', 'script_monitor', 'script_janitor', 'script_reader'), strict=True))
    text = script('postgresql://nobody@nowhere/', names, schemas, **roles)
    assert '%%' not in text
    for _ in range(2):
        psql(database, text)
    before = dump(database)
    upgrade(url_of(database), names, schemas, **roles)
    assert dump(database) == before
    assert 'celery_task_status' in before


def psql(database: Database, text: str) -> None:
    """Runs a script, some of which cannot be part of a transaction."""
    subprocess.run(
        [database.server.programs / 'psql', '-v', 'ON_ERROR_STOP=1', url_of(database).replace('+psycopg2', '')],
        input=text,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
        env=clean_environment(),
    )


def dump(database: Database) -> str:
    with database.server.connect(database.name) as cursor:
        cursor.execute("""
            SELECT table_schema, table_name, column_name, data_type, is_nullable FROM information_schema.columns
            WHERE table_schema IN ('public', 'platform') ORDER BY 1, 2, ordinal_position""")
        columns = cursor.fetchall()
        cursor.execute("""
            SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.role_table_grants
            WHERE grantee LIKE 'script%' ORDER BY 1, 2, 3, 4""")
        grants = cursor.fetchall()
        cursor.execute("""
            SELECT grantee, table_schema, table_name, column_name, privilege_type
            FROM information_schema.column_privileges WHERE grantee LIKE 'script%' ORDER BY 1, 2, 3, 4, 5""")
        grants += cursor.fetchall()
        cursor.execute('SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2')
        grants += cursor.fetchall()
        cursor.execute('SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY 1')
        grants += cursor.fetchall()
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE schemaname IN ('public', 'platform') ORDER BY 1")
        return '\n'.join(map(str, [*columns, *grants, *cursor.fetchall()]))


@pytest.mark.process
def test_the_script_for_sqlite(tmp_path: object) -> None:
    subprocess.run(
        [
            'python3',
            '-c',
            'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())',
            f'{tmp_path}/tasks.db',
        ],
        input=script('sqlite://') * 2,
        text=True,
        check=True,
    )
    with Store(f'sqlite:///{tmp_path}/tasks.db') as store:
        store.write([message()])


def objects(file: Path) -> list[tuple[str, str]]:
    """List the names in a SQLite database, and the statements that made them."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute('SELECT name, sql FROM sqlite_master ORDER BY name').fetchall()


@pytest.mark.parametrize(
    ('make', 'write', 'options'),
    [
        (upgrade, script, {}),
        (upgrade, script, {'names': NAMES, 'allow_pickle': True}),
        (upgrade_outbox, outbox_script, {}),
    ],
)
def test_sqlite_gets_the_same_by_a_script(
    tmp_path: Path, make: Callable[..., None], write: Callable[..., str], options: dict[str, Any]
) -> None:
    by_script, by_upgrade = tmp_path / 'script.db', tmp_path / 'upgrade.db'
    with closing(sqlite3.connect(by_script)) as connection:
        connection.executescript(write('sqlite://', **options))
    make(f'sqlite:///{by_upgrade}', **options)
    assert objects(by_script) == objects(by_upgrade) != []


@pytest.mark.parametrize('allow_pickle', [True, False])
def test_sqlite_refuses_pickles_unless_it_is_told_otherwise(tmp_path: Path, allow_pickle: bool) -> None:
    file = tmp_path / 'tasks.db'
    upgrade(f'sqlite:///{file}', NAMES, allow_pickle=allow_pickle)
    store = 'INSERT INTO "Results %" (task_id, result) VALUES (?, ?)'
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(store, ('json', b'7'))
        with nullcontext() if allow_pickle else pytest.raises(sqlite3.IntegrityError, match=NO_PICKLE):
            connection.execute(store, ('pickle', pickle.dumps(7)))


def test_sqlite_has_no_roles() -> None:
    for role in ROLES:
        with pytest.raises(NotUsable, match='no roles'):
            script('sqlite://', **{role: 'x'})
    for role in ('producer_role', 'relay_role'):
        with pytest.raises(NotUsable, match='no roles'):
            outbox_script('sqlite://', **{role: 'x'})


def test_a_role_that_may_not(database: Database) -> None:
    with pytest.raises(NotUsable, match='permission denied'):
        upgrade(url_of(database, database.role, database.password))


REFUSED_TO_WORKERS = [
    'SELECT * FROM celery_task',
    'SELECT * FROM celery_task_status',
    'SELECT * FROM celery_task_rejected',
    'SELECT * FROM celery_worker',
    'UPDATE celery_monitor SET caught_up = now()',
    "INSERT INTO celery_task (task_id) VALUES ('x')",
    'UPDATE celery_task SET name = name',
    'DELETE FROM celery_task',
    'SELECT * FROM celery_tasksetmeta',
    'INSERT INTO celery_tasksetmeta (id) VALUES (1)',
    "SELECT nextval('taskset_id_sequence')",
    'DELETE FROM celery_taskmeta',
    'TRUNCATE celery_taskmeta',
    'DROP TABLE celery_taskmeta',
    'ALTER TABLE celery_taskmeta ADD COLUMN x INT',
    'CREATE TABLE x (y INT)',
    'CREATE INDEX ON celery_taskmeta (status)',
    'CREATE SCHEMA x',
    'CREATE ROLE x',
    "SELECT setval('task_id_sequence', 1)",
    'SELECT * FROM secrets',
    'CREATE VIEW x AS SELECT * FROM celery_taskmeta',
    'DROP VIEW celery_task_status',
]
REFUSED_TO_MONITORS = [
    'SELECT * FROM celery_taskmeta',
    'SELECT * FROM celery_task_status',
    'DELETE FROM celery_task',
    'TRUNCATE celery_task',
    'DELETE FROM celery_task_rejected',
    'DELETE FROM celery_worker',
    'DELETE FROM celery_monitor',
    'CREATE TABLE x (y INT)',
    'DROP TABLE celery_task',
    'SELECT * FROM secrets',
    'SELECT * FROM celery_tasksetmeta',
    "SELECT nextval('task_id_sequence')",
]
REFUSED_TO_JANITORS = [
    'UPDATE celery_task SET name = name',
    "UPDATE celery_taskmeta SET status = 'SUCCESS'",
    'INSERT INTO celery_taskmeta (id) VALUES (1)',
    'TRUNCATE celery_task',
    'CREATE TABLE x (y INT)',
    'SELECT * FROM secrets',
]
REFUSED_TO_READERS = [
    'SELECT * FROM celery_taskmeta',
    'DELETE FROM celery_task',
    'UPDATE celery_task SET name = name',
    'DELETE FROM celery_task_rejected',
    'INSERT INTO celery_task_rejected (digest) VALUES (1)',
    'UPDATE celery_worker SET ended = now()',
    'DELETE FROM celery_monitor',
    'CREATE TABLE x (y INT)',
    'SELECT * FROM secrets',
]


@pytest.fixture
def roles(database: Database) -> Database:
    """A database whose roles were made by `upgrade` alone."""
    return with_roles(database)


@pytest.fixture(scope='module')
def shared_roles(postgres: Postgres) -> Database:
    """The same, for tests that change nothing in it."""
    return with_roles(postgres.create_database())


def with_roles(database: Database) -> Database:
    database.execute('CREATE TABLE secrets (y INT)')
    upgrade(url_of(database), **{role: f'{database.name}_{role[0]}' for role in ROLES})
    for role in 'wmjr':
        database.execute(f"ALTER ROLE {database.name}_{role} PASSWORD 'secret'")
        database.execute(f'GRANT CONNECT ON DATABASE {database.name} TO {database.name}_{role}')
    return database


@pytest.mark.parametrize(
    ('role', 'statement'),
    [
        (role, statement)
        for role, statements in {
            'w': REFUSED_TO_WORKERS,
            'm': REFUSED_TO_MONITORS,
            'j': REFUSED_TO_JANITORS,
            'r': REFUSED_TO_READERS,
        }.items()
        for statement in statements
    ],
)
def test_refused(shared_roles: Database, role: str, statement: str) -> None:
    with (
        shared_roles.server.connect(shared_roles.name, f'{shared_roles.name}_{role}', 'secret') as cursor,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        cursor.execute(statement)


def test_allowed(roles: Database) -> None:
    with Store(url_of(roles, f'{roles.name}_m', 'secret')) as store:
        store.write([message(), message(), message('a\0')])
        store.write([message(retries=1), message('a\0')])
        store.tell(0.0)
    with roles.server.connect(roles.name, f'{roles.name}_w', 'secret') as cursor:
        cursor.execute("INSERT INTO celery_taskmeta (id, task_id) VALUES (nextval('task_id_sequence'), '1')")
        cursor.execute("UPDATE celery_taskmeta SET status = 'SUCCESS' WHERE task_id = '1'")
    with roles.server.connect(roles.name, f'{roles.name}_r', 'secret') as cursor:
        cursor.execute('SELECT * FROM celery_worker, celery_monitor')
        cursor.execute('SELECT status, retries FROM celery_task_status')
        assert cursor.fetchall() == [('SUCCESS', 1)]
    tables = (
        *('celery_task', 'celery_taskmeta', 'celery_tasksetmeta', 'celery_task_rejected'),
        *('celery_worker', 'celery_monitor'),
    )
    with roles.server.connect(roles.name, f'{roles.name}_j', 'secret') as cursor:
        for table in tables:
            cursor.execute(f'SELECT FROM {table} FOR UPDATE SKIP LOCKED')
            cursor.execute(f'DELETE FROM {table}')
        cursor.execute('SELECT * FROM celery_task_status')
        assert cursor.fetchall() == []


def test_a_monitor_that_may_not_write_says_so(roles: Database) -> None:
    roles.execute(f'REVOKE INSERT ON celery_task FROM {roles.name}_m')
    store = Store(url_of(roles, f'{roles.name}_m', 'secret'))
    # It says so before it has taken a message.
    with pytest.raises(NotUsable, match='permission denied for table celery_task'), store:
        pass


def test_psycopg2_reports_privileges() -> None:
    assert issubclass(errors.InsufficientPrivilege, psycopg2.ProgrammingError)
