"""The statements of the page on scale do what it says, while the monitor and the workers go on writing the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import upgrade
from cadasta.workertoolbox.monitor.message import Message
from cadasta.workertoolbox.monitor.store import Store, Stored
from cadasta.workertoolbox.results.refusal import Refused
from cadasta.workertoolbox.tracked import Filter
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.postgres import Database

from ..tracked.plans import explained
from .manual import Manual

PAGE = 'explanation/scale'
PAGES = [PAGE]
LAST_NUMBER = 2**31 - 1


@pytest.fixture
def tracked(upgraded: Database) -> Database:
    """Three tasks with results: seen now, 8 and 100 days ago."""
    store(upgraded, 'new', 'week', 'quarter')
    for task_id, days in (('new', 0), ('week', 8), ('quarter', 100)):
        seen = datetime.now(UTC) - timedelta(days=days)
        upgraded.execute('UPDATE celery_task SET first_seen = %s WHERE task_id = %s', seen, task_id)
        upgraded.execute(
            'INSERT INTO celery_taskmeta (id, task_id, status, date_done) '
            "VALUES (nextval('task_id_sequence'), %s, 'SUCCESS', %s)",
            task_id,
            seen,
        )
    return upgraded


def store(database: Database, *ids: str, retries: int = 0) -> None:
    properties = {'content_type': 'application/json'}
    messages = [
        Message(
            task_id,
            b'[[7], {}, {}]',
            {'task': 'export.project', 'id': task_id, 'retries': retries},
            properties,
            'export',
        )
        for task_id in ids
    ]
    with Store(url_of(database)) as opened:
        assert opened.write(messages) == Stored(len(ids), 0)


def statements(manual: Manual, containing: str) -> str:
    (text,) = (block.text for block in manual.blocks(PAGE, 'postgresql') if containing in block.content)
    return text


def ids(database: Database, table: str) -> set[str]:
    return {task_id for (task_id,) in database.execute(f'SELECT task_id FROM {table}')}


def test_archive(manual: Manual, tracked: Database) -> None:
    database = tracked
    database.execute(statements(manual, 'PARTITION BY RANGE'))
    database.execute("UPDATE celery_task SET first_seen = '2026-01-15' WHERE task_id = 'quarter'")
    before = database.execute("SELECT * FROM celery_task WHERE task_id = 'quarter'")
    move = statements(manual, 'INSERT INTO celery_task_archive')
    for _ in range(2):
        database.execute(move)
    assert ids(database, 'celery_task') == {'new'}
    assert ids(database, 'celery_task_archive') == {'week', 'quarter'}
    assert database.execute('SELECT * FROM celery_task_archive_2026_01') == before
    database.execute(statements(manual, 'DROP TABLE celery_task_archive'))
    assert ids(database, 'celery_task_archive') == {'week'}


def test_an_index_of_an_argument(manual: Manual, tracked: Database) -> None:
    tracked.execute(statements(manual, "kwargs ->> 'customer'"))
    with explained(TaskDatabase(url_of(tracked))) as (reader, plans):
        assert reader.page(Filter(argument=('customer', '42')), 9) == []
    assert 'celery_task_expr_idx' in plans[-1]
    assert 'Seq Scan on celery_task ' not in plans[-1]


def test_numbers_of_results(manual: Manual, tracked: Database) -> None:
    database = tracked
    url = url_of(database, database.role, database.password)
    app = Celery('worker', set_as_current=False)
    app.config_from_object(
        Config(broker_url='memory://', result_backend=f'db+{url}', result_backend_always_retry=False)
    )
    database.execute('ALTER TABLE celery_taskmeta ALTER id TYPE integer')
    database.execute(f"SELECT setval('task_id_sequence', {LAST_NUMBER})")
    with pytest.raises(Refused, match='integer out of range'):
        app.backend.store_result('one-too-many', 7, 'SUCCESS')
    database.execute(statements(manual, 'TYPE bigint'))
    app.backend.store_result('one-more', 7, 'SUCCESS')
    upgrade(url_of(database))
    assert database.execute("SELECT status FROM celery_task_status WHERE task_id = 'one-more'") == [('SUCCESS',)]
    assert database.execute("SELECT id > %s FROM celery_taskmeta WHERE task_id = 'one-more'", LAST_NUMBER) == [(True,)]


def test_settings_of_the_database(manual: Manual, tracked: Database) -> None:
    database = tracked
    database.execute(statements(manual, 'synchronous_commit').replace('ROLE export', f'ROLE {database.role}'))
    database.execute(statements(manual, 'autovacuum'))
    assert database.execute_as_worker('SHOW synchronous_commit') == [('off',)]


def test_partitions_of_the_task_table(manual: Manual, tracked: Database) -> None:
    database = tracked
    (command,) = (command for block in manual.blocks(PAGE, 'console') for command, _ in block.commands)
    assert command == 'celery -A export toolbox tables --worker-role export --monitor-role monitor'
    plain = indexes(database)
    database.execute(statements(manual, 'PARTITION BY HASH'))
    upgrade(url_of(database))
    assert indexes(database) == plain
    assert ids(database, 'celery_task_status') == {'new', 'week', 'quarter'}
    store(database, *map(str, range(100)))
    store(database, '7', 'new', retries=1)
    assert database.execute('SELECT task_id FROM celery_task WHERE retries = 1 ORDER BY task_id') == [('7',), ('new',)]
    assert len(ids(database, 'celery_task')) == 103
    assert database.execute('SELECT count(DISTINCT tableoid) > 8 FROM celery_task') == [(True,)]


def indexes(database: Database) -> list[tuple[str]]:
    return sorted(
        database.execute(
            "SELECT regexp_replace(indexdef, '.*USING', '') FROM pg_indexes WHERE tablename = 'celery_task'"
        )
    )
