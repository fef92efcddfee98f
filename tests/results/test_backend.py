"""Workers store the states that are theirs, on PostgreSQL and on SQLite."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery, states
from celery.app.task import Context
from celery.backends.database import DatabaseBackend
from celery.result import AsyncResult

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.errors import NotUsable, UnreadableResult
from cadasta.workertoolbox.results import backend as backends
from cadasta.workertoolbox.results import identity, unlocks, waiting
from cadasta.workertoolbox.results.backend import Backend, Dropped
from cadasta.workertoolbox.results.claim import Claim, Failed, Impossible, Over, Running, Statements, Telling
from cadasta.workertoolbox.results.guard import act
from cadasta.workertoolbox.results.refusal import Refused, refusal
from rig.monitor.databases import make_tables, url_of
from rig.servers.postgres import Database

NOW = {'postgresql': 'now()', 'sqlite': "strftime('%Y-%m-%d %H:%M:%f', 'now')"}


class UniqueViolation(Exception):  # noqa: N818  # the name of psycopg
    pgcode = '23505'


class Table:
    """The table of results, and backends of several workers that write it."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = url
        self.monkeypatch = monkeypatch
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)

    def app(self, **settings: Any) -> Celery:
        app = Celery('worker', set_as_current=False)
        app.config_from_object(Config(**{'broker_url': 'memory://', 'result_backend': f'db+{self.url}', **settings}))
        return app

    def backend(self, worker: str | None = None, **settings: Any) -> Backend:
        if worker is None:
            self.monkeypatch.delenv(identity._VARIABLE, raising=False)
        else:
            self.monkeypatch.setenv(identity._VARIABLE, worker)
        backend: Backend = self.app(**settings).backend
        return backend

    def execute(self, statement: str, **parameters: Any) -> list[Any]:
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement), parameters)
            return list(result) if result.returns_rows else []

    def row(self, columns: str = 'status', task_id: str = '1') -> Any:
        (row,) = self.execute(f'SELECT {columns} FROM celery_taskmeta WHERE task_id = :id', id=task_id)
        return row[0] if len(row) == 1 else tuple(row)


@pytest.fixture(params=['sqlite', 'postgresql'])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == 'sqlite':
        url = f'sqlite:///{tmp_path / "results.db"}'
        make_tables(url)
        return url
    return url_of(request.getfixturevalue('upgraded'))


@pytest.fixture
def table(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    table = Table(url, monkeypatch)
    yield table
    table.engine.dispose()


ON_POSTGRESQL = pytest.mark.parametrize('url', ['postgresql'], indirect=True)


def start(backend: Backend, retries: int = 0, replaced: int = 0, worker: str | None = None) -> Context:
    """Stores that a task has started, as Celery's tracer does; its request says what became of the claim."""
    request = Context(id='1', retries=retries, replaced_task_nesting=replaced, called_directly=False, delivery_info={})
    backend.store_result('1', {'pid': 1, 'hostname': 'here'}, states.STARTED, request=request)
    return request


def test_a_run_from_start_to_end(table: Table) -> None:
    backend = table.backend('a')
    request = start(backend)
    assert request.toolbox_claim == Claim(1)
    assert table.row('status, worker, runs, retries, replaced, date_done') == ('STARTED', 'a', 1, 0, 0, None)
    assert table.row(f'lease > {NOW[backend._engine.dialect.name]}')
    assert backend.get_task_meta('1')['result'].keys() == {'pid', 'hostname', 'claim'}
    backend.store_result('1', {'done': 1}, 'PROGRESS', request=request)
    assert table.row('status, lease IS NULL') == ('PROGRESS', False)
    backend.mark_as_done('1', 7, request)
    assert table.row('status, lease, runs') == ('SUCCESS', None, 1)
    assert AsyncResult('1', app=backend.app).get(timeout=5) == 7


@pytest.mark.parametrize('state', [states.SUCCESS, states.FAILURE, states.REVOKED])
def test_what_ended_is_not_started(table: Table, state: str) -> None:
    table.backend().store_result('1', 7 if state == states.SUCCESS else ValueError('no'), state)
    assert start(table.backend('a')).toolbox_claim == Over(f'it ended before, as {state}')
    # Nothing has run that somebody else than the task failed.
    assert table.row('status, runs') == (state, 0 if state == states.FAILURE else None)


@pytest.mark.parametrize('state', [states.PENDING, states.RECEIVED])
def test_what_was_not_started_is(table: Table, state: str) -> None:
    table.backend().store_result('1', None, state)
    assert start(table.backend('a')).toolbox_claim == Claim(1)


def test_what_runs_is_not_started(table: Table) -> None:
    start(table.backend('a'))
    claim = start(table.backend('b')).toolbox_claim
    assert isinstance(claim, Running)
    assert claim.worker == 'a'
    assert 50 < claim.seconds < 62


def test_a_later_try_is_started_and_an_earlier_one_is_not(table: Table) -> None:
    first = start(table.backend('a'))
    assert start(table.backend('b'), retries=1).toolbox_claim == Claim(2)
    assert start(table.backend('c'), retries=0).toolbox_claim == Over('a later try of it was sent')
    assert start(table.backend('c'), retries=0, replaced=1).toolbox_claim == Claim(3)
    table.backend('a').mark_as_retry('1', ValueError(), request=first)
    assert table.row('status, worker, retries, replaced') == ('STARTED', 'c', 0, 1)


def test_a_copy_of_what_waits_for_its_retry_is_over(table: Table) -> None:
    backend = table.backend('a')
    backend.mark_as_retry('1', ValueError(), request=start(backend))
    assert start(table.backend('b')).toolbox_claim == Over('a later try of it was sent')
    assert start(table.backend('b'), retries=1).toolbox_claim == Claim(2)


def test_a_lease_that_is_over(table: Table) -> None:
    """Its zombie stores nothing afterwards, and ends where it asks to store a state of its own."""
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    zombie = start(table.backend('a'))
    assert start(table.backend('b')).toolbox_claim == Claim(2)
    backend = table.backend('a')
    with pytest.raises(Dropped, match='run 2, on b, has the claim of it, and is STARTED'):
        backend.store_result('1', None, 'PROGRESS', request=zombie)
    backend.mark_as_done('1', 7, zombie)
    for store in (backend.mark_as_failure, backend.mark_as_retry, backend.mark_as_revoked):
        store('1', ValueError('a zombie'), request=zombie)
    assert table.row('status, worker, runs') == ('STARTED', 'b', 2)


def test_a_run_that_takes_over_has_a_lease_of_its_own(table: Table) -> None:
    """Otherwise a third copy would run beside it."""
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    start(table.backend('a'), retries=1)
    table.execute("UPDATE celery_taskmeta SET started = NULL, lease = '2001-01-01 00:00:00.000000'")
    assert start(table.backend('b'), retries=0).toolbox_claim == Over('a later try of it was sent')
    assert start(table.backend('b'), retries=1).toolbox_claim == Claim(2)
    assert table.row("worker, started IS NULL, lease < '2002-01-01'") == ('b', False, False)


def test_two_runs_with_the_same_number(table: Table) -> None:
    """Somebody has pruned the row of the first."""
    zombie = start(table.backend('a'))
    table.execute('DELETE FROM celery_taskmeta')
    assert start(table.backend('b')).toolbox_claim == zombie.toolbox_claim == Claim(1)
    table.backend('a').mark_as_done('1', 7, zombie)
    assert table.row('status, worker') == ('STARTED', 'b')


def test_two_runs_of_one_worker(table: Table) -> None:
    """The main process was silent for as long as the lease."""
    backend = table.backend('a')
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    zombie = start(backend)
    table.execute('UPDATE celery_taskmeta SET result = NULL')
    assert start(backend).toolbox_claim == Claim(2)
    backend.mark_as_done('1', 7, zombie)
    assert table.row('status, runs') == ('STARTED', 2)


def test_what_was_cancelled_while_it_ran_stays_so(table: Table) -> None:
    backend = table.backend('a')
    request = start(backend)
    table.execute("UPDATE celery_taskmeta SET status = 'REVOKED'")
    assert backend.renew({'1', '2'}) == {'1'}
    assert table.backend('b').renew({'1'}) == set()
    backend.mark_as_done('1', 7, request)
    assert table.row() == 'REVOKED'


def test_who_gives_up_a_claim(table: Table) -> None:
    """It is the run that has it, and none of another task."""
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    zombie, request = start(table.backend('a')), start(table.backend('b'))
    number = 'CAST(id AS integer) + 1000'
    table.execute(
        f'INSERT INTO celery_taskmeta (id, task_id, status, worker, runs, lease) '
        f"SELECT {number}, '2', status, worker, runs, lease FROM celery_taskmeta"
    )

    def leased() -> list[bool]:
        return [not table.row('lease IS NULL', task_id=task_id) for task_id in '12']

    table.backend('a').release('1', request.toolbox_claim)
    table.backend('b').release('1', zombie.toolbox_claim)
    assert leased() == [True, True]
    table.backend('b').release('1', request.toolbox_claim)
    assert leased() == [False, True]


def test_who_lets_another_role_go_on(table: Table) -> None:
    """It is the run that has the claim."""
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    zombie, request = start(table.backend('a')), start(table.backend('b'))
    table.execute("UPDATE celery_taskmeta SET role = 'ada'")
    table.backend('a').disown('1', request.toolbox_claim)
    table.backend('b').disown('1', zombie.toolbox_claim)
    assert table.row('role') == 'ada'
    table.backend('b').disown('1', request.toolbox_claim)
    assert table.row('role') is None


def test_what_has_no_claim_leaves_the_lease_to_who_has(table: Table) -> None:
    start(table.backend('a'))
    table.backend('a').store_result('1', None, 'PROGRESS', request=Context(id='1'))
    assert table.row('status, lease IS NULL') == ('PROGRESS', False)
    table.backend('b').mark_as_failure('1', ValueError(), request=Context(id='1'))
    assert table.row() == 'PROGRESS'
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    table.backend('a').renew({'1'})
    # Nobody vouches for the run any more.
    table.backend('b').mark_as_failure('1', ValueError(), request=Context(id='1'))
    assert table.row('status, lease') == ('FAILURE', None)
    table.backend('b').renew({'1'})
    assert table.row('lease') is None


def test_a_server_that_was_started_a_moment_ago(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers could not renew their leases before; they have time to do so."""
    table = Table(url_of(database), monkeypatch)
    monkeypatch.setattr(backends, 'LEASE', 3600)
    start(table.backend('a'))
    table.execute("UPDATE celery_taskmeta SET lease = now() - interval '1 second'")
    claim = start(table.backend('b')).toolbox_claim
    assert isinstance(claim, Running)
    assert 600 < claim.seconds <= 3601


def test_a_zombie_does_not_fail_the_rest_of_its_chain(table: Table) -> None:
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    zombie = start(table.backend('a'))
    start(table.backend('b'))
    zombie.chain = [{'task': 'export.next', 'options': {'task_id': '2'}}]
    table.backend('a').mark_as_failure('1', ValueError(), request=zombie)
    assert not table.execute("SELECT * FROM celery_taskmeta WHERE task_id = '2'")


def test_a_failure_of_which_others_were_not_told(table: Table) -> None:
    """Its worker has died in between. Another tells them, and does not run the task."""
    failed = start(table.backend('a'))
    failed.toolbox_claim = Telling(1)
    table.backend('a').store_result('1', KeyError('x'), states.FAILURE, request=failed)
    assert isinstance(start(table.backend('b')).toolbox_claim, Running)
    before = table.row('lease')
    table.monkeypatch.setattr(backends, 'LEASE', 90)
    table.backend('a').renew({'1'})
    assert table.row('lease') > before
    assert start(table.backend('b'), retries=1).toolbox_claim == Over('it ended before, as FAILURE')
    table.monkeypatch.setattr(backends, 'LEASE', -1)
    table.backend('a').renew({'1'})
    request = start(table.backend('b'))
    assert request.toolbox_claim == Failed(1)
    assert table.row('status, worker, runs') == ('FAILURE', 'b', 1)
    backend = table.backend('b')
    with pytest.raises(KeyError, match='x'):
        act(SimpleNamespace(name='export', request=request, AsyncResult=backend.app.AsyncResult))
    request.chain = [backend.app.signature('export.next', options={'task_id': '2'})]
    backend.mark_as_failure('1', KeyError('x'), request=request)
    assert table.row('status, lease') == ('FAILURE', None)
    assert table.row('status', '2') == 'FAILURE'
    assert start(table.backend('c')).toolbox_claim == Over('it ended before, as FAILURE')


def test_a_task_that_fails_before_one_that_was_cancelled(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    """The others of its chain fail with it."""
    backend = table.backend('a')
    backend.mark_as_revoked('2', 'cancelled')
    request = start(backend)
    # Celery begins with the last of a chain.
    request.chain = [backend.app.signature('export.next', options={'task_id': task_id}) for task_id in '23']
    backend.mark_as_failure('1', ValueError(), request=request)
    assert [table.row(task_id=task_id) for task_id in '123'] == ['FAILURE', 'REVOKED', 'FAILURE']
    assert not caplog.text


def test_renewed_and_released(table: Table) -> None:
    backend = table.backend('a')
    request = start(backend)
    before = table.row('lease')
    table.monkeypatch.setattr(backends, 'LEASE', 90)
    assert backend.renew({'1', '2'}) == set()
    renewed = table.row('lease')
    assert renewed > before
    table.backend('b').renew({'1'})
    assert table.row('lease') == renewed
    table.backend('a').release('1', request.toolbox_claim)
    assert start(table.backend('b')).toolbox_claim == Claim(2)


@pytest.mark.parametrize('claim_of', ['first', 'second'])
def test_an_answer_that_was_lost(table: Table, claim_of: str) -> None:
    """The statement was committed, and is repeated; or a broken connection brings it to the database late."""
    backend = table.backend('a')
    store = backend.store_state

    def repeated(*args: Any, **options: Any) -> None:
        request = options['request']
        store(*args, **options)
        first = request.toolbox_claim
        if args[2] == states.STARTED:
            del request.toolbox_claim
        store(*args, **options)
        if claim_of == 'first':
            request.toolbox_claim = first

    table.monkeypatch.setattr(backend, 'store_state', repeated)
    request = start(backend)
    assert request.toolbox_claim == Claim(1)
    backend.mark_as_done('1', 7, request)
    assert table.row('status, runs') == ('SUCCESS', 1)


def test_a_row_that_was_deleted(table: Table) -> None:
    backend = table.backend('a')
    request = start(backend)
    table.execute('DELETE FROM celery_taskmeta')
    backend.mark_as_done('1', 7, request)
    assert table.row() == 'SUCCESS'


def test_the_main_process_has_the_last_word_on_its_children(table: Table) -> None:
    start(table.backend('a'))
    request = Context(id='1')
    table.backend('b').mark_as_failure('1', ValueError(), request=request)
    assert table.row() == 'STARTED'
    table.backend('a').mark_as_failure('1', ValueError(), request=request)
    assert table.row('status, lease') == ('FAILURE', None)
    table.backend('a').mark_as_revoked('1', 'expired', request=request)
    assert table.row() == 'FAILURE'


@pytest.mark.parametrize('request_', [None, Context(id='2')])
def test_whoever_does_not_run_a_task_does_not_claim_it(table: Table, request_: Context | None) -> None:
    table.backend('a').store_result('1', {}, states.STARTED, request=request_)
    assert table.row('status, lease, runs') == ('STARTED', None, None)


def test_a_task_that_fails_before_it_starts_was_not_cancelled(table: Table) -> None:
    """Nobody can run its message, or its process was lost at once."""
    table.backend('a').mark_as_failure('1', ValueError(), request=Context(id='1'))
    assert table.row('status, runs') == ('FAILURE', None)
    assert table.execute('SELECT standing FROM celery_task_status') == [('failed',)]


def test_somebody_else_corrects_a_failure(table: Table) -> None:
    backend = table.backend()
    backend.store_result('1', ValueError(), states.FAILURE)
    backend.store_result('1', 7, states.SUCCESS)
    with pytest.raises(Dropped):
        backend.store_result('1', ValueError(), states.FAILURE)
    assert table.row() == states.SUCCESS


def test_a_task_that_runs_corrects_the_failure_of_another(table: Table) -> None:
    """`Task.update_state` passes the request of the task that runs."""
    table.backend().mark_as_failure('2', ValueError())
    backend = table.backend('a')
    request = start(backend)
    backend.store_result('2', 7, states.SUCCESS, request=request)
    assert (table.row(), table.row(task_id='2')) == ('STARTED', 'SUCCESS')


def test_a_copy_that_expired_while_another_runs_here(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = table.backend('a')
    request = start(backend)
    monkeypatch.setattr('celery.worker.state.active_requests', {request})
    backend.mark_as_revoked('1', 'expired', request=Context(id='1'))
    assert table.row() == 'STARTED'


@pytest.mark.parametrize('fail', ['mark_as_failure', 'mark_as_retry'])
def test_a_copy_whose_process_was_lost_while_another_runs_here(
    table: Table, monkeypatch: pytest.MonkeyPatch, fail: str
) -> None:
    backend = table.backend('a')
    request = start(backend)
    monkeypatch.setattr('celery.worker.state.active_requests', {request})
    getattr(backend, fail)('1', ValueError('lost'), request=Context(id='1'))
    assert table.row() == 'STARTED'
    backend.mark_as_done('1', 7, request)
    assert table.row() == 'SUCCESS'


def test_no_connection_is_free(table: Table) -> None:
    """Another thread has it, and gives it back soon."""
    backend = table.backend(
        'a', database_engine_options={'poolclass': sa.QueuePool, 'pool_size': 1, 'max_overflow': 0, 'pool_timeout': 0}
    )
    with backend._engine.connect() as connection:
        backend.pause = lambda seconds: connection.close()
        assert start(backend).toolbox_claim == Claim(1)


def test_a_database_that_refuses_is_named_once_for_each_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has moved it, and moves it back when the worker has tried twice."""
    here, away = tmp_path / 'here', tmp_path / 'away'
    here.mkdir()
    make_tables(f'sqlite:///{here}/results.db')
    table = Table(f'sqlite:///{here}/results.db', monkeypatch)
    backend = table.backend('a')
    request = start(backend)
    pauses: list[float] = []

    def pause(patience: waiting.Patience, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) % 2 == 0:
            away.rename(here)

    monkeypatch.setattr(waiting.Patience, 'sleep', pause)
    for state in ('PROGRESS', states.SUCCESS):
        backend._engine.dispose()
        here.rename(away)
        backend.store_result('1', 7, state, request=request)
        assert table.row() == state
    assert len(pauses) == 4
    assert caplog.text.count('The result database refuses, and the worker tries on until it does not: ') == 2


def test_a_producer_does_not_wait_for_a_database_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Table(f'sqlite:///{tmp_path}/nowhere/results.db', monkeypatch).backend()
    monkeypatch.setattr(waiting.Patience, 'sleep', lambda patience, seconds: pytest.fail('It waits'))
    with pytest.raises(NotUsable, match='The result database refuses the connection: '):
        backend.get_state('1')


def test_what_one_task_waited_for_does_not_count_for_the_next(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, '_shared', None)
    waiting.prepare()
    assert waiting._shared is not None
    waiting._shared.write(1_000.0, 0.0)
    start(table.backend('a'))
    assert waiting.waited(os.getpid())[0] < 1_000
    waiting._end()


def test_plain_celery_beside(table: Table) -> None:
    """The tasks that it starts have no lease. Whoever gets their messages starts them again, as with Celery."""
    plain = DatabaseBackend(app=table.app(), url=table.url)
    ours = table.backend('a')
    plain.store_result('1', {}, states.STARTED)
    request = start(ours)
    assert request.toolbox_claim == Claim(1)
    plain.store_result('1', 7, states.SUCCESS)
    ours.mark_as_failure('1', ValueError(), request=request)
    assert (plain.get_result('1'), ours.get_state('1')) == (7, states.SUCCESS)


def test_extended_results(table: Table) -> None:
    backend = table.backend('a', result_extended=True)
    request = Context(
        id='1', task='export.project', args=(1,), kwargs={}, delivery_info={'routing_key': 'export'}, hostname='here'
    )
    backend.store_result('1', {}, states.STARTED, request=request)
    backend.mark_as_done('1', 7, request)
    meta = backend.get_task_meta('1')
    assert (meta['name'], meta['args'], meta['queue'], meta['worker']) == ('export.project', [1], 'export', 'a')


@pytest.mark.parametrize('zone', ['Asia/Tokyo', 'America/New_York'])
def test_times_are_utc(table: Table, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PGTZ', 'Asia/Tokyo')
    for settings in ({}, {'RUN_ONCE': False}):
        backend = table.backend('a', timezone=zone, **settings)
        backend.store_result('2', 7, states.SUCCESS)
        assert abs(backend.get_task_meta('2')['date_done'] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(
            minutes=5
        )
        table.execute('DELETE FROM celery_taskmeta')


def test_a_table_of_version_1_0(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    if 'postgresql' in table.url:
        table.execute('ALTER TABLE celery_taskmeta DROP lease CASCADE, DROP replaced CASCADE')
    else:
        for view in ('celery_task_status', 'celery_task_scheduled'):
            table.execute(f'DROP VIEW {view}')
        for column in ('lease', 'replaced'):
            table.execute(f'ALTER TABLE celery_taskmeta DROP COLUMN {column}')
    backend = table.backend('a')
    assert not backend.can_claim()
    request = start(backend)
    assert not hasattr(request, 'toolbox_claim')
    backend.release('1', Claim(1))
    assert backend.renew({'1'}) == set()
    backend.mark_as_done('1', 7, request)
    assert backend.get_result('1') == 7
    upgrade(table.url)
    assert table.backend('a').can_claim()


def test_whoever_stores_first_makes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(f'sqlite:///{tmp_path / "new.db"}', monkeypatch)
    assert start(table.backend('a')).toolbox_claim == Claim(1)


def test_a_table_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'new.db'
    path.touch()
    table = Table(f'sqlite:///file:{path}?mode=ro&uri=true', monkeypatch)
    with pytest.raises(sa.exc.OperationalError, match='no such table'):
        table.backend('a').can_claim()


def test_a_row_that_is_deleted_between_claim_and_question(table: Table) -> None:
    start(table.backend('a'))
    backend = table.backend('b', database_engine_callback=None)
    statements = backend._claiming_statements()
    explain = statements.explain

    def delete_first(*args: Any) -> Any:
        table.execute('DELETE FROM celery_taskmeta')
        return explain(*args)

    table.monkeypatch.setattr(statements, 'explain', delete_first)
    assert start(backend).toolbox_claim == Claim(1)
    assert table.row('worker') == 'b'


def test_another_error_than_a_missing_column(table: Table) -> None:
    backend = table.backend('a')
    table.monkeypatch.setattr(Statements, 'probe', lambda self, connection: connection.execute(sa.text('SELECT no')))
    with pytest.raises(sa.exc.DBAPIError):
        backend.can_claim()


def test_another_kind_of_database(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = table.backend('a')
    monkeypatch.setattr(backend._engine.dialect, 'name', 'mysql')
    assert not backend.can_claim()


# Refused by the database


@pytest.mark.parametrize('value', [{}, [1], True, object()])
def test_a_value_of_another_type(table: Table, value: Any) -> None:
    """The worker does not take it for an outage: it would wait for ever."""
    backend = table.backend('a', result_extended=True)
    request = Context(id='1', task='export.project', delivery_info={'routing_key': value})
    backend.store_result('1', {}, states.STARTED, request=request)
    if isinstance(request.toolbox_claim, Impossible):
        backend.mark_as_failure('1', ValueError('no'), request=Context(id='1', delivery_info=request.delivery_info))
        assert 'It was ValueError' in str(backend.get_result('1'))


def test_a_long_name(table: Table) -> None:
    backend = table.backend('a', result_extended=True)
    request = Context(id='1', task='n' * 200, delivery_info={})
    backend.store_result('1', {}, states.STARTED, request=request)
    assert (request.toolbox_claim, table.row('name')) == (Claim(1), 'n' * 155)


@pytest.fixture
def strict(table: Table) -> Table:
    table.execute('ALTER TABLE celery_taskmeta ADD CHECK (octet_length(result) < 1000)')
    return table


@ON_POSTGRESQL
def test_an_id_that_is_too_long(strict: Table, caplog: pytest.LogCaptureFixture) -> None:
    backend = strict.backend('a')
    request = Context(id='L' * 160)
    backend.store_result('L' * 160, {}, states.STARTED, request=request)
    assert isinstance(request.toolbox_claim, Impossible)
    backend.mark_as_failure('L' * 160, ValueError('no'), request=Context(id='L' * 160))
    assert 'The database cannot hold the state FAILURE of task LLL' in caplog.text


@ON_POSTGRESQL
def test_a_result_that_is_refused(strict: Table) -> None:
    backend = strict.backend('a')
    request = start(backend)
    with pytest.raises(Refused, match='violates check constraint'):
        backend.mark_as_done('1', 'x' * 1000, request)
    with pytest.raises(Refused, match='value too long'):
        backend.store_result('1', None, 'S' * 60, request=request)
    backend.mark_as_failure('1', ValueError('x' * 1000), request=request)
    assert strict.row() == 'FAILURE'
    error = backend.get_result('1')
    assert str(error).startswith('The database refuses it: new row for relation')
    assert 'It was ValueError: ' in str(error)


def test_nul_and_surrogates(table: Table) -> None:
    backend = table.backend('a')
    backend.mark_as_failure('1', ValueError('a\0b'), 'Traceback \0 \ud800', request=start(backend))
    assert table.row('traceback') == 'Traceback \ufffd ?'
    assert backend.get_result('1').args == ('a\0b',)


@pytest.mark.parametrize('text', ['invalid memory alloc request size 1073741824', 'cannot enlarge string buffer'])
def test_what_has_no_class_of_its_own(text: str) -> None:
    assert text in str(refusal(sa.exc.InternalError('INSERT', {}, Exception(text))))


def test_somebody_was_first() -> None:
    for error in (Exception('UNIQUE constraint failed: celery_taskmeta.task_id'), UniqueViolation()):
        assert refusal(sa.exc.IntegrityError('INSERT', {}, error)) is None


def test_what_passes(table: Table) -> None:
    assert refusal(sa.exc.OperationalError('INSERT', {}, Exception('server closed the connection'))) is None


@ON_POSTGRESQL
def test_an_outage_while_a_refusal_is_stored(strict: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = strict.backend('a', result_backend_always_retry=False)
    request = start(backend)
    store = backend.store_state

    def fail_later(task_id: str, result: Any, *args: Any, **options: Any) -> None:
        if result['exc_type'] == 'Refused':
            raise ConnectionResetError
        store(task_id, result, *args, **options)

    monkeypatch.setattr(backend, 'store_state', fail_later)
    with pytest.raises(ConnectionResetError):
        backend.mark_as_failure('1', ValueError('x' * 1000), request=request)


# Reading


class Bomb:
    def __reduce__(self) -> Any:
        return pytest.fail, ('it was loaded',)


@pytest.mark.parametrize('serializer', ['json', 'pickle'])
def test_a_pickle_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serializer: str) -> None:
    table = Table(f'sqlite:///{tmp_path / "results.db"}', monkeypatch)
    upgrade(table.url, allow_pickle=True)
    backend = table.backend(result_serializer=serializer, accept_content=['json', 'pickle'])
    backend.store_result('1', 1, states.SUCCESS)
    table.execute('UPDATE celery_taskmeta SET result = :bomb', bomb=pickle.dumps(Bomb()))
    with pytest.raises(UnreadableResult, match='Pickles are never loaded'):
        AsyncResult('1', app=backend.app).get(timeout=5)
    # The backend still reads the results of workers with the other serializer.
    table.execute("UPDATE celery_taskmeta SET result = CAST('7' AS BLOB)")
    assert AsyncResult('1', app=backend.app).get(timeout=5) == 7


@ON_POSTGRESQL
def test_pickles_are_allowed(table: Table) -> None:
    upgrade(table.url, allow_pickle=True)
    table.backend(result_serializer='pickle', accept_content=['json', 'pickle']).store_result('1', 1, states.SUCCESS)
    assert table.row('result')[:1].tobytes() == b'\x80'


def test_a_pickle_is_refused(table: Table) -> None:
    backend = table.backend(result_serializer='pickle', accept_content=['json', 'pickle'])
    with pytest.raises(Refused, match='no_pickle'):
        backend.store_result('1', 1, states.SUCCESS)


def test_an_exception_is_an_exception(table: Table) -> None:
    backend = table.backend()
    backend.store_result('1', ValueError('yes'), states.FAILURE)
    assert repr(backend.get_result('1')) == "ValueError('yes')"
    for module, name in (('builtins', 'SystemExit'), ('builtins', 'KeyboardInterrupt')):
        stored = {'exc_module': module, 'exc_type': name, 'exc_message': ['out']}
        made = backend.exception_to_python(stored)
        assert isinstance(made, Exception)
        assert (type(made).__name__, made.args) == (name, ('out',))
    for stored in (
        {'exc_module': 'os', 'exc_type': 'system', 'exc_message': 'true'},
        {'exc_module': 'builtins', 'exc_type': 'eval', 'exc_message': '1'},
        {'exc_module': ['os'], 'exc_type': 'Error'},
        {'exc_module': 'builtins', 'exc_type': 5},
        {'exc_module': None, 'exc_type': 'a\0b'},
        {'exc_message': 'no type'},
        'text',
        5,
    ):
        with pytest.raises(UnreadableResult):
            backend.exception_to_python(stored)
    assert backend.exception_to_python(None) is None


def test_a_module_that_makes_what_it_does_not_have(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may import another module for it."""
    lazy = ModuleType('lazy')
    monkeypatch.setattr(lazy, '__getattr__', lambda name: pytest.fail(name), raising=False)
    monkeypatch.setitem(sys.modules, 'lazy', lazy)
    made = table.backend().exception_to_python({'exc_module': 'lazy', 'exc_type': 'Error.Inner', 'exc_message': 'text'})
    assert isinstance(made, Exception)
    assert made.args == ('text',)


def test_patience_outside_a_worker() -> None:
    waiting.Patience().sleep(0)
    with waiting.outside_limits():
        waiting.begin_task()
    assert waiting.waited(1) == (0.0, False)


def test_a_chord_whose_header_is_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch over the chord loads nothing, and stores that the body failed."""
    table = Table(f'sqlite:///{tmp_path / "results.db"}', monkeypatch)
    upgrade(table.url, allow_pickle=True)
    backend = table.backend()
    backend.store_result('1', 1, states.SUCCESS)
    table.execute('UPDATE celery_taskmeta SET result = :bomb', bomb=pickle.dumps(Bomb()))
    body = backend.app.signature('celery.accumulate', app=backend.app, task_id='body')
    backend.app.tasks['celery.chord_unlock']('group', body, result=[[['1', None], None]])
    assert table.row('status', 'body') == 'FAILURE'
    assert 'Pickles are never loaded' in str(backend.get_result('body'))


@pytest.mark.parametrize('is_ours', [True, False])
def test_the_end_of_a_chord_is_stored_by_our_backend(table: Table, is_ours: bool) -> None:
    backend = table.backend('a')
    unlock = SimpleNamespace(
        name='celery.chord_unlock',
        request=SimpleNamespace(id='unlock'),
        backend=backend if is_ours else SimpleNamespace(),
    )
    unlocks.store_end(unlock)
    unlocks.store_end(SimpleNamespace(name='export.project'))
    assert backend.get_state('unlock') == ('SUCCESS' if is_ours else 'PENDING')
    assert len(table.execute('SELECT 1 FROM celery_taskmeta')) == int(is_ours)
