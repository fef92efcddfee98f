"""An upgrade beside those who use the tables: it holds nobody up, and says who holds it up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from celery import Celery
from sqlalchemy.exc import OperationalError

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database import in_the_way
from cadasta.workertoolbox.monitor import NotUsable, upgrade
from cadasta.workertoolbox.monitor.store import Store
from rig.monitor.databases import url_of
from rig.servers.postgres import ADMIN, ADMIN_PASSWORD, Database
from rig.servers.process import wait_until

from ..commands.running import run
from ..monitor.messages import message
from .test_upgrade import NAMES, ROLES, SCHEMAS

INDEX = 'ix_celery_task_name'


@pytest.fixture
def older(upgraded: Database) -> Database:
    """A database whose tables lack a column and an index of today's."""
    upgraded.execute('DROP VIEW celery_task_status, celery_task_scheduled')
    upgraded.execute('ALTER TABLE celery_task DROP resent')
    upgraded.execute(f'DROP INDEX {INDEX}')
    return upgraded


@pytest.fixture
def without_index(upgraded: Database) -> Database:
    upgraded.execute(f'DROP INDEX {INDEX}')
    return upgraded


@contextmanager
def session(database: Database) -> Iterator[Any]:
    """A session that stays in its transaction until somebody ends it."""
    connection = psycopg2.connect(
        host='127.0.0.1',
        port=database.server.port,
        dbname=database.name,
        user=ADMIN,
        password=ADMIN_PASSWORD,
        application_name='the report',
    )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def at_once(function: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=function)
    thread.start()
    yield thread
    thread.join()


def has_index(database: Database) -> bool:
    return database.execute(f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{INDEX}')") == [(True,)]


@pytest.mark.parametrize(('names', 'schemas'), [({}, {}), (NAMES, SCHEMAS)])
def test_what_is_up_to_date_is_left_alone(database: Database, names: dict[str, str], schemas: dict[str, str]) -> None:
    """Not even those who let nobody else look at the tables or upgrade them are in its way."""
    database.execute('CREATE SCHEMA platform')
    upgrade(url_of(database), names, schemas, **dict.fromkeys(ROLES, database.role))
    with session(database) as other:
        other.cursor().execute('LOCK TABLE celery_toolbox, celery_task, celery_task_status IN ACCESS EXCLUSIVE MODE')
        upgrade(url_of(database), names, schemas, **dict.fromkeys(ROLES, database.role))


def test_a_reader_in_the_way_of_a_change_is_named(older: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_the_way, 'PATIENCE', 0)
    app = Celery('commands', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', result_backend=f'db+{url_of(older)}'))
    with session(older) as reader:
        reader.cursor().execute('SELECT * FROM celery_task')
        result = run(app, 'tables')
        assert result.exit_code == 1
        assert 'celery_task is not upgraded: for 0 s, others have used it. In the way: pid' in result.output
        assert (
            f'pid {reader.info.backend_pid}, user postgres, application the report, idle in transaction, since 2'
            in (result.output)
        )
        assert older.execute("SELECT to_regclass('celery_task_status')") == [(None,)]
    assert run(app, 'tables').exit_code == 0
    assert older.execute('SELECT resent FROM celery_task_status') == []
    assert has_index(older)


def test_a_change_is_tried_again(older: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with session(older) as reader:
        reader.cursor().execute('SELECT * FROM celery_task')
        monkeypatch.setattr(in_the_way, 'sleep', lambda seconds: reader.rollback())
        upgrade(url_of(older))
    assert older.execute('SELECT resent FROM celery_task_status') == []


def test_the_database_goes_away_meanwhile(older: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def close(seconds: float) -> None:
        older.execute(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() '
            'AND datname = current_database()'
        )

    with session(older) as reader:
        reader.cursor().execute('SELECT * FROM celery_task')
        monkeypatch.setattr(in_the_way, 'sleep', close)
        with pytest.raises(OperationalError, match=r'closed the connection|terminating connection'):
            upgrade(url_of(older))


def test_an_index_is_built_beside_those_who_write(without_index: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_the_way, 'PATIENCE', 120)
    with session(without_index) as reader:
        # The build waits in the end for those who may still look at what the table was before.
        reader.set_session(isolation_level='REPEATABLE READ')
        reader.cursor().execute('SELECT 1')
        with at_once(lambda: upgrade(url_of(without_index))) as building:
            wait_until(
                lambda: without_index.execute(
                    "SELECT 1 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'"
                ),
                'the build to be nearly over',
            )
            with Store(url_of(without_index)) as store:
                store.write([message()])
            assert building.is_alive()
            reader.rollback()
    assert has_index(without_index)


def test_an_index_that_nobody_completed(without_index: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_the_way, 'PATIENCE', 1)
    with session(without_index) as reader:
        reader.set_session(isolation_level='REPEATABLE READ')
        reader.cursor().execute('SELECT 1')
        with pytest.raises(NotUsable, match=f'The index {INDEX} .* In the way: pid {reader.info.backend_pid}, user'):
            upgrade(url_of(without_index))
    assert not has_index(without_index)
    upgrade(url_of(without_index))
    assert has_index(without_index)


def test_a_session_that_would_look_back_does_not_wait_for_itself(without_index: Database) -> None:
    without_index.execute(f"ALTER DATABASE {without_index.name} SET default_transaction_isolation = 'repeatable read'")
    upgrade(url_of(without_index))
    assert has_index(without_index)


def test_two_runs_wait_for_each_other(older: Database, caplog: pytest.LogCaptureFixture) -> None:
    with session(older) as other:
        other.cursor().execute('LOCK TABLE celery_toolbox IN SHARE UPDATE EXCLUSIVE MODE')
        with at_once(lambda: upgrade(url_of(older))) as waiting:
            wait_until(lambda: caplog.messages, 'the second run to say that it waits')
            (text,) = caplog.messages
            assert text.startswith('Waiting for another run of `celery toolbox tables`')
            assert text.endswith(f' pid {other.info.backend_pid}')
            assert waiting.is_alive()
            other.rollback()
    assert has_index(older)
