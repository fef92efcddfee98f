"""Settings that others give a role or a database change nothing of what is stored and read."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.app.task import Context

from cadasta.workertoolbox.check.databases import check_results, check_tasks
from cadasta.workertoolbox.check.settings import _remarks
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.connection import engine
from cadasta.workertoolbox.database.pruning import Pruning, Retention
from cadasta.workertoolbox.database.session import SETTINGS, _complete
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.monitor.store import Store, Stored
from cadasta.workertoolbox.results import identity
from cadasta.workertoolbox.results.backend import Backend
from cadasta.workertoolbox.tracked.query import TrackedTasks
from rig.monitor.databases import url_of
from rig.servers.postgres import Database, Postgres
from rig.servers.process import Processes
from rig.servers.redis import Redis

from ..monitor.messages import message
from ..results.service import service

TEXT = 'Zürich Ж € \\x80 \'" %s'
HOSTILE = {
    'array_nulls': 'off',
    'backslash_quote': 'off',
    'bytea_output': 'escape',
    'client_encoding': 'LATIN1',
    'DateStyle': 'German, DMY',
    'default_transaction_deferrable': 'on',
    'default_transaction_isolation': 'serializable',
    'extra_float_digits': '-15',
    'IntervalStyle': 'sql_standard',
    'plan_cache_mode': 'force_generic_plan',
    'quote_all_identifiers': 'on',
    'row_security': 'off',
    'session_replication_role': 'replica',
    'standard_conforming_strings': 'off',
    'synchronous_commit': 'off',
    'timezone': 'Asia/Tokyo',
    'transform_null_equals': 'on',
    'work_mem': '64kB',
}


class Platform:
    """A database with a role that may do everything which the tools do."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.owner = url_of(database)
        self.url = url_of(database, database.role, database.password)

    def upgrade(self) -> None:
        upgrade(self.owner, **dict.fromkeys(('worker_role', 'monitor_role', 'reader_role', 'janitor_role'), self.role))

    @property
    def role(self) -> str:
        return self.database.role

    def set(self, name: str, value: str) -> None:
        self.database.execute(f'ALTER DATABASE {self.database.name} SET {name} = {value}')

    def app(self) -> Celery:
        app = Celery('settings', set_as_current=False)
        app.config_from_object(Config(broker_url='memory://', result_backend=f'db+{self.url}'))
        return app

    def run(self, task_id: str) -> Any:
        """A worker runs a task, and a producer reads what it returned."""
        app, request = self.app(), Context(id=task_id, task='export.project', retries=0)
        backend: Backend = app.backend
        backend.store_result(task_id, {'pid': 1, 'hostname': 'here'}, 'STARTED', request=request)
        assert backend.renew({task_id}) == set()
        backend.store_result(task_id, TEXT, 'SUCCESS', request=request)
        return app.AsyncResult(task_id).get(timeout=10)


@pytest.fixture(scope='module')
def shared(postgres: Postgres) -> Platform:
    platform = Platform(postgres.create_database())
    platform.upgrade()
    return platform


@pytest.fixture
def platform(database: Database) -> Platform:
    return Platform(database)


@pytest.fixture(autouse=True)
def is_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(identity._VARIABLE, 'worker@here')
    yield
    # Each test has settings of its own, and a session has those with which it began.
    from cadasta.workertoolbox.results import engines

    for made in engines._engines.values():
        made.dispose()


def use(platform: Platform, task_id: str) -> None:
    with Store(platform.url) as store:
        assert store.write([message(task_id, 'export.project', TEXT, 0.1, None)]) == Stored(1, 0)
    assert platform.run(task_id) == TEXT
    with TrackedTasks(platform.url) as tracked:
        (task,) = tracked.find([task_id])
    assert (task.standing, task.args, task.runs) == ('succeeded', [TEXT, 0.1, None], 1)
    assert task.ran is not None
    assert 0 <= task.ran < 60


@pytest.mark.parametrize('name', HOSTILE)
def test_a_setting(shared: Platform, name: str) -> None:
    shared.set(name, f"'{HOSTILE[name]}'")
    try:
        use(shared, name)
    finally:
        shared.database.execute(f'ALTER DATABASE {shared.database.name} RESET {name}')


def test_all_at_once(platform: Platform, redis_server: Redis, processes: Processes) -> None:
    """Tables are made, a real worker runs a task, and what is old is deleted."""
    for name, value in HOSTILE.items():
        platform.set(name, f"'{value}'")
    platform.upgrade()
    use(platform, '1')
    with service(redis_server.broker(), platform.database, processes) as once:
        worker = once.start('-Q', 'once', '-c', '1')
        task_id = once.send('plain')
        once.wait_for_state(task_id, 'SUCCESS')
        assert worker.stop() == 0
    with Pruning(platform.url) as pruning:
        assert pruning.prune(Retention(timedelta(days=-1), None, True)).tasks == 1
    for made in (engine(platform.url), platform.app().backend._engine):
        with made.connect() as connection:
            assert {name: connection.scalar(sa.text(f'SHOW {name}')) for name in SETTINGS} == SETTINGS
        made.dispose()


def test_functions_that_lie(shared: Platform) -> None:
    """A role that may create functions in a schema before PostgreSQL's own does not give the time."""
    role = shared.role
    shared.database.execute('CREATE SCHEMA evil')
    shared.database.execute(f'GRANT USAGE ON SCHEMA evil TO {role}')
    for name in ('now', 'clock_timestamp', 'statement_timestamp'):
        shared.database.execute(
            f"CREATE FUNCTION evil.{name}() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '1970-01-01' $$"
        )
    shared.database.execute(f'ALTER ROLE {role} SET search_path = evil, public, pg_catalog')
    try:
        use(shared, 'lies')
    finally:
        shared.database.execute(f'ALTER ROLE {role} RESET search_path')
    query = "SELECT first_seen > '2000-01-01', started > '2000-01-01' FROM celery_task_status WHERE task_id = 'lies'"
    assert shared.database.execute(query) == [(True, True)]


def test_tables_that_are_not_on_the_path(shared: Platform) -> None:
    shared.database.execute(f'ALTER ROLE {shared.role} SET search_path = nowhere')
    try:
        with pytest.raises(NotUsable, match=r"no table 'celery_task' on the search_path .* schema public has it"):
            Store(shared.url).__enter__()
    finally:
        shared.database.execute(f'ALTER ROLE {shared.role} RESET search_path')


def test_two_monitors_where_transactions_are_serializable(shared: Platform) -> None:
    """They wait for each other, and none of them fails."""
    shared.set('default_transaction_isolation', 'serializable')
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with Store(shared.url) as store:
                for _ in range(20):
                    store.write([message(f'both-{number}') for number in range(20)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.database.execute(f'ALTER DATABASE {shared.database.name} RESET default_transaction_isolation')
    assert failures == []


@pytest.mark.parametrize('name', ['statement_timeout', 'lock_timeout'])
def test_a_result_that_takes_too_long_is_stored_later(
    shared: Platform, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend: Any = shared.app().backend
    request = Context(id=name, task='export.project', retries=0)
    backend.store_result(name, {}, 'STARTED', request=request)
    backend._engine.dispose()
    shared.set(name, '100')
    owner = sa.create_engine(shared.owner, poolclass=sa.NullPool)
    try:
        with owner.connect() as other:
            other.execute(sa.text('SELECT FROM celery_taskmeta WHERE task_id = :id FOR UPDATE'), {'id': name})
            monkeypatch.setattr(backend, 'pause', lambda seconds: other.rollback())
            backend.store_result(name, TEXT, 'SUCCESS', request=request)
            assert not other.in_transaction()
    finally:
        shared.database.execute(f'ALTER DATABASE {shared.database.name} RESET {name}')
    assert shared.app().AsyncResult(name).get(timeout=10) == TEXT


def notes(platform: Platform) -> tuple[Any, Any]:
    """The check looks at the settings of the database of tasks, and of that of results."""
    tasks = {finding.check: finding for finding in check_tasks(platform.app(), platform.url)}
    results = {finding.check: finding for finding in check_results(platform.app(), True, True)}
    return tasks['its settings suit'], results['its settings suit']


def test_the_check(platform: Platform) -> None:
    platform.upgrade()
    assert [finding.state for finding in notes(platform)] == ['passed', 'passed']
    settings = {
        'default_transaction_isolation': 'serializable',
        'statement_timeout': '2000',
        'synchronous_commit': 'off',
    }
    for name, value in settings.items():
        platform.set(name, value)
    remarks = 'statement_timeout is 2000 ms.*is serializable.*synchronous_commit is off'
    for finding in notes(platform):
        assert finding.state == 'noted'
        assert re.search(remarks, finding.outcome.note)
    platform.set('default_transaction_read_only', 'on')
    tasks, results = notes(platform)
    assert tasks.outcome.note.startswith('it takes nothing: default_transaction_read_only is on; ')
    assert results.outcome.problems[0].seen == 'it takes nothing: default_transaction_read_only is on'


def test_a_database_that_has_no_room_for_all_characters(postgres: Postgres) -> None:
    name = next(postgres.names)
    with postgres.connect('postgres') as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1'")
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'worker'")
    platform = Platform(Database(postgres, name, 'worker'))
    platform.upgrade()
    for finding in notes(platform):
        assert 'it holds text as LATIN1' in finding.outcome.problems[0].seen
    with Store(platform.url) as store:
        assert store.write([message('1', 'export.project', 'Zürich'), message('2', 'export.project', 'Ж')]) == (1, 1)


@pytest.mark.parametrize(('language', 'is_noted'), [('C', False), ('en_US.UTF-8', False), ('', False), ('de_DE', True)])
def test_the_language_of_the_server(language: str, is_noted: bool) -> None:
    """A refused connection has no code, and its text is known in English only."""
    settings = {**SETTINGS, 'statement_timeout': '0', 'lock_timeout': '0', 'lc_messages': language}
    assert [remark.partition(':')[0] for remark in _remarks(settings)] == ['lc_messages is de_DE'] * is_noted


@pytest.mark.parametrize(
    ('driver', 'given', 'expected'),
    [('psycopg2', {}, 'utf8'), ('psycopg', {'client_encoding': 'latin1'}, 'latin1'), ('pg8000', {}, None)],
)
def test_parameters_of_libpq(driver: str, given: dict[str, str], expected: str | None) -> None:
    parameters: dict[str, Any] = dict(given)
    _complete(SimpleNamespace(driver=driver), None, (), parameters)
    assert parameters.get('client_encoding') == expected
    assert ('tcp_user_timeout' in parameters) == (driver != 'pg8000')
