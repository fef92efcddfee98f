"""Pieces of the code that hardly ever run in a real worker."""

from __future__ import annotations

import os
import select
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery, Task, bootsteps
from celery.exceptions import Ignore, Reject
from kombu.exceptions import OperationalError

from cadasta.workertoolbox.results import keeper, lease, limits, waiting
from cadasta.workertoolbox.results.backend import Dropped
from cadasta.workertoolbox.results.claim import Claim, Impossible, Running
from cadasta.workertoolbox.results.engines import engine
from cadasta.workertoolbox.results.guard import act, guard

# Engines


def test_an_engine_is_made_once() -> None:
    made = engine('sqlite:///unused.db', {}, None)
    assert engine('sqlite:///unused.db', {}, pytest.fail) is made


# The keeper


def test_an_error_that_comes_soon() -> None:
    made = keeper.Keeper()
    with pytest.raises(KeyError):
        made.store('SUCCESS of 1', lambda: {}['no'])


def test_an_error_that_comes_late(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(keeper, 'PATIENCE', 0.01)
    go_on, done = threading.Event(), threading.Event()

    def fail() -> None:
        go_on.wait()
        raise KeyError('no')

    made = keeper.Keeper()
    made.store('SUCCESS of 1', fail)
    # The main process does not wait for those behind it, either.
    made.store('SUCCESS of 2', done.set)
    assert 'The result database is away: SUCCESS of 2 will be stored when it is back' in caplog.text
    go_on.set()
    assert done.wait(10)
    assert "A state was not stored: 'no'" in caplog.text


def test_a_keeper_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, '_keeper', SimpleNamespace(process=-1))
    stored: list[int] = []
    keeper.store('SUCCESS of 1', lambda: stored.append(1))
    assert stored == [1]
    keeper.store('SUCCESS of 2', lambda: stored.append(2))
    assert stored == [1, 2]


# Waiting


@pytest.fixture
def main_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, '_shared', None)
    waiting._end()
    waiting.prepare()


def test_the_end_of_a_worker(main_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, 'GRACE', 0.01)
    patience = waiting.Patience()
    patience.sleep(0)
    waiting._end()
    waiting._end()
    patience.sleep(60)
    patience.sleep(0.02)
    with pytest.raises(Reject, match='result database is away'):
        patience.sleep(0)


def test_what_a_child_waits(main_process: None) -> None:
    assert waiting.is_main_process()
    waiting.begin_task()
    with waiting.outside_limits():
        time.sleep(0.01)
        seconds, is_waiting = waiting.waited(os.getpid())
        assert (seconds > 0, is_waiting) == (True, True)
    first, is_waiting = waiting.waited(os.getpid())
    assert (first >= 0.01, is_waiting) == (True, False)
    with waiting.outside_limits():
        pass
    assert waiting.waited(os.getpid())[0] >= first
    assert waiting.waited(os.getpid() + 1) == (0.0, False)
    # The solo pool says in the main process that a child begins.
    waiting._leave_it_to_the_main_process()
    waiting.Patience().sleep(0)


def test_a_child_that_was_spawned_finds_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, '_shared', None)
    monkeypatch.setenv('CADASTA_WORKER_SHARED', '')
    waiting.join()
    assert not waiting._shared
    waiting.prepare(spawns=True)
    main = waiting._shared
    assert main
    waiting.join()
    assert waiting._shared is main

    waiting._shared = None
    waiting.join()
    child = waiting._shared
    assert child is not None
    assert child.main == main.main
    with waiting.outside_limits():
        assert main.read(os.getpid())[1]
    patience = waiting.Patience()
    patience.sleep(0)
    waiting._end()
    assert not select.select([child.ended], [], [], 0)[0]
    main.end()
    assert select.select([child.ended], [], [], 60)[0] == [child.ended]


# Leases


def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(lease, 'EVERY', 0.01)
    worker = SimpleNamespace(
        blueprint=SimpleNamespace(state=bootsteps.RUN), app=SimpleNamespace(conf={'RUN_ONCE': True}, backend=None)
    )
    answers = iter([sa.exc.OperationalError('SELECT 1', {}, Exception('away')), True])

    def can_claim() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        worker.blueprint.state = bootsteps.TERMINATE
        return answer

    worker.app.backend = SimpleNamespace(can_claim=can_claim)
    monkeypatch.setattr(lease, 'active', dict)
    lease.Leases(worker)._renew_until_the_end(worker)
    assert 'The leases of running tasks cannot be renewed' in caplog.text


@pytest.mark.parametrize(
    ('error', 'level'),
    [
        (sa.exc.OperationalError('', {}, Exception('Connection refused')), 'WARNING'),
        (sa.exc.OperationalError('', {}, Exception('FATAL:  password authentication failed')), 'ERROR'),
        (KeyError('no'), 'WARNING'),
    ],
)
def test_why_leases_are_not_renewed_is_said_once(
    error: Exception, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = ''
    for _ in range(2):
        said = lease._say_once(error, said)
    assert [record.levelname for record in caplog.records] == [level]


def test_what_runs_on_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    worker, request = SimpleNamespace(pool=None), SimpleNamespace(id='runs on', name='export.project')
    said: set[str] = set()
    for _ in range(2):
        lease._terminate(worker, request, said)
    assert caplog.text.count('was cancelled, and runs on') == 1


# Guards


def test_a_class_that_two_tasks_share(celery_app: Celery) -> None:
    class Shared(Task):
        ran = 0

        def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
            type(self).ran += 1

        def run(self) -> None: ...

    for name in ('export.one', 'export.two'):
        task = Shared()
        task.name = name
        celery_app.register_task(task)
    for _ in range(2):
        guard(celery_app)
    celery_app.tasks['export.one'].before_start('1', (), {})
    assert Shared.ran == 1


@pytest.mark.parametrize(
    ('claim', 'refused', 'stored'),
    [
        (Claim(1), None, ['disowned', 'RETRY']),
        (Claim(1), Dropped(), ['disowned', 'RETRY']),
        (Claim(1), Reject(), ['disowned', 'RETRY']),
        (None, None, []),
    ],
)
def test_what_is_stored_of_a_task_that_is_replaced(
    celery_app: Celery, claim: Claim | None, refused: Exception | None, stored: list[str]
) -> None:
    states = []

    class Storing:
        def disown(self, task_id: str, claim: Claim) -> None:
            states.append('disowned')

        def store_result(self, task_id: str, result: Any, state: str, request: Any) -> None:
            states.append(state)
            if refused:
                raise refused

    @celery_app.task(name='export.replaced', backend=Storing())
    def replaced() -> None: ...

    guard(celery_app)
    task = celery_app.tasks['export.replaced']
    task.push_request(id='1', toolbox_claim=claim)
    with pytest.raises(Ignore, match='Replaced'):
        task.on_replace(SimpleNamespace(delay=list))
    assert states == stored


def test_a_task_that_no_table_can_hold() -> None:
    task = SimpleNamespace(name='export.project', request=SimpleNamespace(id='1', toolbox_claim=Impossible('too long')))
    with pytest.raises(Reject, match='too long'):
        act(task)


@pytest.mark.parametrize(
    ('error', 'raised'),
    [(OperationalError('away'), Reject), (ConnectionResetError(), Reject), (KeyError('no'), Ignore)],
)
def test_a_copy_that_cannot_be_sent_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, raised: type[Exception]
) -> None:
    """It is no failure of the task, which runs elsewhere."""

    def fail(task: Any, seconds: float) -> None:
        raise error

    monkeypatch.setattr('cadasta.workertoolbox.results.guard.send_back', fail)
    task = SimpleNamespace(name='export.project', request=SimpleNamespace(id='1', toolbox_claim=Running('a', 3)))
    with pytest.raises(raised):
        act(task)
    assert ('cannot come back, and is dropped' in caplog.text) == (raised is Ignore)


@pytest.fixture
def celery_app() -> Celery:
    return Celery('guarded', broker='memory://', set_as_current=False)


# Limits


def test_limits_are_put_off_by_what_was_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    acted: list[Any] = []
    later: list[Any] = []
    timer = SimpleNamespace(
        call_after=lambda seconds, function, arguments: later.append((seconds, function, arguments))
    )
    answers = iter([(9.0, True), (12.0, False), (12.0, False)])
    monkeypatch.setattr(limits, 'waited', lambda pid: next(answers))

    class Job:
        _job, _worker_pid, is_ready = 1, 7, False

        def ready(self) -> bool:
            return self.is_ready

    job = Job()
    on_timeout = limits._put_off(acted.append, timer)
    on_timeout(job)
    # A pool without an event loop asks again and again.
    on_timeout(job)
    for expected in (9.0, 3.0):
        ((seconds, function, arguments),) = later
        assert seconds == expected
        later.clear()
        function(*arguments)
    assert acted == [job]
    answers = iter([(20.0, False)])
    on_timeout(job)
    job.is_ready = True
    ((_, function, arguments),) = later
    function(*arguments)
    assert acted == [job]


def test_a_job_that_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    acted: list[Any] = []
    monkeypatch.setattr(limits, 'waited', lambda pid: (0.0, False))

    class Job:
        _job, _worker_pid = 1, 7

        def ready(self) -> bool:
            return True

    limits._put_off(acted.append, None)(Job())
    assert not acted
