"""Pieces of the code that hardly ever run in a real worker."""

from __future__ import annotations

import os
import select
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery, Task, bootsteps
from celery.exceptions import Ignore, Reject, TaskPredicate
from kombu.exceptions import OperationalError

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import UnreadableResult
from cadasta.workertoolbox.results import keeper, lease, limits, waiting
from cadasta.workertoolbox.results.backend import Dropped
from cadasta.workertoolbox.results.claim import Claim, Failed, Holder, Impossible, Over, Running
from cadasta.workertoolbox.results.comeback import send_back
from cadasta.workertoolbox.results.engines import engine
from cadasta.workertoolbox.results.guard import act, guard, release
from cadasta.workertoolbox.results.reading import checked, decoded, exception
from cadasta.workertoolbox.results.refusal import refusal
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.memory import MemoryBroker
from rig.servers.process import wait_until

# Engines


def test_an_engine_is_made_once() -> None:
    made = engine('sqlite:///unused.db', {}, None)
    assert engine('sqlite:///unused.db', {}, pytest.fail) is made


# Claims

HOLDER = Holder('STARTED', 'w1', 1, (0, 1), 5.0, 'export', True)


@pytest.mark.parametrize(
    ('changes', 'answer'),
    [
        ({}, Running('w1', 6.0)),
        ({'remaining': None}, Running('w1', 1.0)),
        ({'remaining': -5.0}, Running('w1', 1.0)),
        ({'attempt': (0, 2)}, Over('a later try of it was sent')),
        ({'attempt': (1, 0)}, Over('a later try of it was sent')),
        ({'attempt': (0, 0)}, Running('w1', 6.0)),
        ({'state': 'RETRY'}, Over('a later try of it was sent')),
        ({'state': 'SUCCESS'}, Over('it ended before, as SUCCESS')),
        ({'state': 'SUCCESS', 'is_writable': False}, Over('it ended before, as SUCCESS')),
        ({'state': 'FAILURE'}, Running('w1', 6.0)),
        ({'state': 'FAILURE', 'remaining': None}, Over('it ended before, as FAILURE')),
        ({'state': 'FAILURE', 'attempt': (0, 0)}, Over('it ended before, as FAILURE')),
        ({'is_writable': False}, Impossible('its row belongs to role export, and this worker has another role')),
    ],
)
def test_what_becomes_of_a_message_whose_claim_is_refused(changes: dict[str, Any], answer: Any) -> None:
    assert replace(HOLDER, **changes).refuses((0, 1)) == answer


# What a database refuses


@pytest.mark.parametrize(
    ('error', 'what'),
    [
        (ValueError('no NUL'), 'no NUL'),
        (OverflowError('too large'), 'too large'),
        (MemoryError(), 'MemoryError'),
        (sa.exc.DataError('INSERT', {}, Exception('too long\nDETAIL: 160 characters')), 'too long'),
        (ConnectionRefusedError('away'), None),
        (sa.exc.OperationalError('INSERT', {}, Exception('away')), None),
        (sa.exc.IntegrityError('INSERT', {}, Exception('UNIQUE constraint failed: id')), None),
    ],
)
def test_whether_the_data_are_to_blame(error: Exception, what: str | None) -> None:
    found = refusal(error)
    assert (found and str(found)) == (what and f'The database refuses it: {what}')


# What is read


def test_which_content_is_decoded() -> None:
    assert decoded(b'[1]', 'application/x-python-serialize', 'binary', None) == [1]
    assert decoded(b'a: 1', 'application/x-yaml', 'utf-8', {'application/x-yaml'}) == {'a': 1}
    with pytest.raises(UnreadableResult, match='Pickles are never loaded'):
        decoded(b'a: 1', 'application/x-python-serialize', 'binary', {'application/x-yaml'})


def test_children_that_are_none(celery_app: Celery) -> None:
    state = {'children': None}
    assert checked(state, celery_app) is state
    with pytest.raises(UnreadableResult, match='The children that are stored for a task are none: 5'):
        checked({'children': 5}, celery_app)


@pytest.mark.parametrize(
    ('made', 'is_kept'),
    [(ValueError('no'), True), (Ignore(), False), (Reject(), False), (MemoryError(), False), (SystemExit(), False)],
)
def test_an_exception_that_tells_a_worker_what_to_do(made: BaseException, is_kept: bool) -> None:
    # A result need not name a module.
    found = exception(lambda described: made, {'exc_type': 'Boom', 'exc_message': ['no']})
    assert isinstance(found, Exception)
    assert (found is made) == is_kept
    assert not isinstance(found, TaskPredicate | MemoryError)


# The keeper


def test_a_state_that_is_stored_soon(caplog: pytest.LogCaptureFixture) -> None:
    made = keeper.Keeper()
    made.store('SUCCESS of 1', list)
    assert caplog.text == ''
    # The process may end all the same.
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == 'results-keeper')


def test_an_error_that_comes_soon() -> None:
    made = keeper.Keeper()
    with pytest.raises(KeyError):
        made.store('SUCCESS of 1', lambda: {}['no'])


@pytest.mark.parametrize(
    ('is_main', 'in_thread', 'task', 'needed'),
    [(True, False, None, True), (False, False, None, False), (True, True, None, False), (True, False, Task(), False)],
)
def test_who_needs_a_keeper(
    is_main: bool, in_thread: bool, task: Task | None, needed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, 'is_main_process', lambda: is_main)
    monkeypatch.setattr(keeper, 'current_task', task)
    with ThreadPoolExecutor(1) as pool:
        assert (pool.submit(keeper.is_needed).result() if in_thread else keeper.is_needed()) is needed


def test_an_error_that_comes_late(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(keeper, 'PATIENCE', 0.01)
    go_on, reached, end = threading.Event(), threading.Event(), threading.Event()
    waits: list[float | None] = []

    class Noted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            waits.append(timeout)
            return super().result(timeout)

    def fail() -> None:
        go_on.wait()
        raise KeyError('no')

    def succeed() -> None:
        reached.set()
        end.wait()

    monkeypatch.setattr(keeper, 'Future', Noted)
    made = keeper.Keeper()
    made.store('SUCCESS of 1', fail)
    # The main process does not wait for those behind it, either.
    made.store('SUCCESS of 2', succeed)
    assert waits == [0.01, 0]
    assert 'The result database is away: SUCCESS of 2 will be stored when it is back' in caplog.text
    go_on.set()
    assert reached.wait(10)
    assert "A state was not stored: 'no'" in caplog.text
    made.store('SUCCESS of 3', list)
    assert waits == [0.01, 0, 0]
    end.set()
    # It waits again.
    wait_until(lambda: not made._is_late, 'all to be stored')
    monkeypatch.setattr(keeper, 'PATIENCE', 10)
    with pytest.raises(KeyError):
        made.store('SUCCESS of 4', lambda: {}['no'])


def test_a_keeper_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[int] = []
    for before in (None, SimpleNamespace(process=-1)):
        monkeypatch.setattr(keeper, '_keeper', before)
        keeper.store('SUCCESS of 1', lambda: stored.append(1))
        made = keeper._keeper
        keeper.store('SUCCESS of 2', lambda: stored.append(2))
        assert keeper._keeper is made
    assert stored == [1, 2, 1, 2]


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


def test_how_long_a_process_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(waiting, '_shared', None)
    monkeypatch.setattr(waiting, 'time', SimpleNamespace(sleep=slept.append, monotonic=lambda: 100.0))
    patience = waiting.Patience()
    patience.sleep(7)
    # The worker was told to end, and the time is not over yet.
    patience._deadline = 100.0
    patience.sleep(60)
    patience.sleep(0.5)
    assert slept == [7, 1.0, 0.5]


def test_what_a_child_waits(main_process: None) -> None:
    assert waiting.is_main_process()
    waiting.begin_task()
    with waiting.outside_limits():
        time.sleep(0.01)
        seconds, is_waiting = waiting.waited(os.getpid())
        assert (0 < seconds < 60, is_waiting) == (True, True)
    first, is_waiting = waiting.waited(os.getpid())
    assert (0.01 <= first < 60, is_waiting) == (True, False)
    with waiting.outside_limits():
        pass
    assert waiting.waited(os.getpid())[0] >= first
    waiting.begin_task()
    assert waiting.waited(os.getpid()) == (0.0, False)
    assert waiting.waited(os.getpid() + 1) == (0.0, False)
    # The solo pool says in the main process that a child begins.
    waiting._leave_it_to_the_main_process()
    waiting.Patience().sleep(0)


@pytest.mark.parametrize(('is_child', 'told'), [(None, 0), (False, 0), (True, 1)])
def test_a_child_leaves_it_to_the_main_process_to_tell_the_end(
    is_child: bool | None, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[None] = []
    shared = SimpleNamespace(main=os.getpid() + (is_child or 0), end=lambda: ends.append(None))
    monkeypatch.setattr(waiting, '_shared', None if is_child is None else shared)
    assert waiting.is_main_process() is (is_child is False)
    waiting._leave_it_to_the_main_process()
    assert len(ends) == told


def test_a_worker_that_forks_shares_nothing_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, '_shared', None)
    monkeypatch.setenv('CADASTA_WORKER_SHARED', '1:/tmp')
    waiting.prepare()
    assert 'CADASTA_WORKER_SHARED' not in os.environ
    waiting._end()


def test_a_child_that_was_spawned_finds_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    at_exit: list[Any] = []
    monkeypatch.setattr(waiting, 'atexit', SimpleNamespace(register=lambda *call, **named: at_exit.append(call)))
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
    ((remove, directory),) = at_exit
    remove(directory)
    assert not directory.exists()


# Leases


def test_what_a_worker_vouches_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It renews what runs, and says once of each cancelled task that it runs on. It soon tries again what fails."""
    one, two = (SimpleNamespace(id=task_id, name='export.project') for task_id in '12')
    runs = iter([{}, {'1': one}, {'1': one}, {'2': two}, {'1': one}, {}])
    renewed: list[set[str]] = []
    pauses: list[float] = []

    def active() -> dict[str, Any]:
        if (found := next(runs, None)) is None:
            raise sa.exc.OperationalError('SELECT 1', {}, Exception('away'))
        return found

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if seconds != lease.EVERY:
            worker.blueprint.state = bootsteps.TERMINATE

    def renew(ids: set[str]) -> set[str]:
        renewed.append(ids)
        return ids & {'1'}

    monkeypatch.setattr(lease, 'active', active)
    monkeypatch.setattr(lease, 'threading', SimpleNamespace(Event=lambda: SimpleNamespace(wait=pause)))
    backend = SimpleNamespace(renew=renew, can_claim=lambda: False)
    app = SimpleNamespace(conf={'RUN_ONCE': True}, backend=backend)
    worker = SimpleNamespace(blueprint=SimpleNamespace(state=bootsteps.RUN), app=app, pool=None)
    lease.Leases(worker)._renew_until_the_end(worker)
    assert renewed == [{'1'}, {'1'}, {'2'}, {'1'}]
    assert pauses == [lease.EVERY] * 6 + [1.0]
    texts = {'has no columns for claims': 1, '[1] was cancelled, and runs on': 2, 'leases of running tasks cannot': 1}
    assert {text: caplog.text.count(text) for text in texts} == texts


@pytest.mark.parametrize(('can_claim', 'run_once'), [(True, True), (False, False)])
def test_nothing_is_missing(can_claim: bool, run_once: bool, caplog: pytest.LogCaptureFixture) -> None:
    backend = SimpleNamespace(can_claim=lambda: can_claim)
    lease.Leases._say_what_is_missing(SimpleNamespace(conf={'RUN_ONCE': run_once}, backend=backend))
    assert caplog.text == ''


def test_a_database_that_is_away_when_a_worker_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker looks again for what is missing."""
    monkeypatch.setattr(lease, 'EVERY', 0.01)
    answers = iter([sa.exc.OperationalError('SELECT 1', {}, Exception('away')), False])

    def can_claim() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        worker.blueprint.state = bootsteps.TERMINATE
        return answer

    app = SimpleNamespace(conf={'RUN_ONCE': True}, backend=SimpleNamespace(can_claim=can_claim))
    worker = SimpleNamespace(blueprint=SimpleNamespace(state=bootsteps.RUN), app=app)
    monkeypatch.setattr(lease, 'active', dict)
    lease.Leases(worker)._renew_until_the_end(worker)
    assert 'The leases of running tasks cannot be renewed' in caplog.text
    assert 'has no columns for claims' in caplog.text


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


def test_what_was_cancelled_is_terminated_by_the_main_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, 'can_terminate', lambda pool: True)
    called: list[Any] = []
    consumer = SimpleNamespace(call_soon=lambda *arguments: called.append(arguments))
    request = SimpleNamespace(id='1', name='export.project', terminate=len)
    lease._terminate(SimpleNamespace(pool='pool', consumer=consumer), request, set())
    assert called == [(len, 'pool')]


# Guards


def test_a_class_that_two_tasks_share(celery_app: Celery) -> None:
    ran = []

    class Shared(Task):
        def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
            ran.append((self.name, task_id, args, kwargs))

        def run(self) -> None: ...

    for name in ('export.one', 'export.two'):
        task = Shared()
        task.name = name
        celery_app.register_task(task)
    assert [guard(celery_app) for _ in range(2)] == [True, False]
    celery_app.tasks['export.one'].before_start('1', (7,), {'a': 1})
    assert ran == [('export.one', '1', (7,), {'a': 1})]
    celery_app.tasks['export.two'].push_request(id='2', toolbox_claim=Over('it ended before'))
    with pytest.raises(Ignore, match='it ended before'):
        celery_app.tasks['export.two'].before_start('2', (), {})
    assert len(ran) == 1


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


@pytest.mark.parametrize(
    ('claim', 'raised', 'why', 'said'),
    [
        (None, None, '', None),
        ('forged', None, '', None),
        (Claim(1), None, '', None),
        (Over('it ended before, as SUCCESS'), Ignore, 'it ended before', ('WARNING', 'it ended before, as SUCCESS')),
        (Impossible('too long'), Reject, 'too long', ('ERROR', 'too long')),
        (Failed(1), KeyError, 'no parcel', ('WARNING', 'it failed before, and its errbacks are called now')),
        (Running('a', 2.6), Ignore, 'It runs on a', ('WARNING', 'it runs on a. This copy comes back in 3 s')),
    ],
)
def test_what_becomes_of_each_claim(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    claim: Any,
    raised: type[Exception] | None,
    why: str,
    said: tuple[str, str] | None,
) -> None:
    sent_back = []
    monkeypatch.setattr('cadasta.workertoolbox.results.guard.send_back', lambda *arguments: sent_back.append(arguments))
    results = {'1': SimpleNamespace(result=KeyError('no parcel'))}
    request = SimpleNamespace(id='1', toolbox_claim=claim)
    task = SimpleNamespace(name='export.project', request=request, AsyncResult=results.__getitem__)
    if raised is None:
        act(task)
    else:
        with pytest.raises(raised, match=why) as refused:
            act(task)
        # The broker must not deliver it again at once.
        assert not getattr(refused.value, 'requeue', False)
    assert [(record.levelname, record.message) for record in caplog.records] == (
        [(said[0], f'Task export.project[1] is not run: {said[1]}')] if said else []
    )
    assert sent_back == ([(task, 2.6)] if isinstance(claim, Running) else [])


@pytest.mark.parametrize(
    ('state', 'claim', 'released'),
    [
        ('REJECTED', Claim(2), [('1', Claim(2))]),
        ('REJECTED', None, []),
        ('REJECTED', Running('a', 3), []),
        ('SUCCESS', Claim(2), []),
        (None, Claim(2), []),
    ],
)
def test_a_task_that_gives_back_its_message_gives_up_its_claim(
    state: str | None, claim: Any, released: list[Any]
) -> None:
    given_up: list[Any] = []
    backend = SimpleNamespace(release=lambda *arguments: given_up.append(arguments))
    release(SimpleNamespace(request=SimpleNamespace(id='1', toolbox_claim=claim), backend=backend), state)
    assert given_up == released


def test_a_copy_that_comes_back_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own queue gets it, and no other: the platform has it."""
    broker = MemoryBroker()
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'msg'], **broker.settings))

    @app.task(name='export.project')
    def project(*args: Any, **kwargs: Any) -> None: ...

    step = app.signature('export.step', app=app)
    options: dict[str, Any] = {'headers': {'customer': 42}, 'priority': 3, 'link': step, 'reply_to': 'me'}
    project.apply_async(('a',), {'b': None}, task_id='1', retries=2, expires=600, time_limit=60, **options)
    assert len(broker.drain(PLATFORM_QUEUE)) == 1
    (first,) = broker.drain('export')
    # So a worker makes a request of a message.
    args, kwargs, embedded = first.body
    delivery = {'exchange': 'task_exchange', 'routing_key': 'export'}
    request = {**first.headers, **embedded, 'args': args, 'kwargs': kwargs, 'properties': first.properties}
    project.push_request(
        **request, delivery_info=delivery, hostname='w1@here', is_eager=False, toolbox_claim=Running('a', 60)
    )
    before = datetime.now(UTC)
    send_back(project, 60)
    assert broker.drain(PLATFORM_QUEUE) == []
    (second,) = broker.drain('export')
    assert second.body == first.body
    eta = datetime.fromisoformat(second.headers.pop('eta'))
    assert before + timedelta(seconds=60) <= eta <= datetime.now(UTC) + timedelta(seconds=60)
    del first.headers['eta']
    assert {name: second.headers.get(name) for name in first.headers} == first.headers
    assert not {'toolbox_claim', 'hostname', 'args', 'delivery_info', 'callbacks'} & second.headers.keys()
    kept = ('correlation_id', 'reply_to', 'priority')
    assert [second.properties[name] for name in kept] == [first.properties[name] for name in kept]

    # It may have come back before, by the queue's name alone.
    project.request.delivery_info = {'exchange': '', 'routing_key': 'msg'}
    send_back(project, 0)
    assert len(broker.drain('msg')) == 1
    assert broker.drain('export') == []
    broker.close()


@pytest.mark.parametrize(
    ('serializer', 'exchange', 'sent'),
    [(None, 'task_exchange', ('json', 'queue of key')), ('yaml', '', ('yaml', 'key'))],
)
def test_how_a_copy_is_sent_back(serializer: str | None, exchange: str, sent: tuple[str, str]) -> None:
    published: dict[str, Any] = {}
    topology = SimpleNamespace(declaration=lambda name, key: SimpleNamespace(name=f'queue of {key}'))
    app = SimpleNamespace(
        conf=SimpleNamespace(task_serializer='json', task_publish_retry_policy={'max_retries': 3}),
        loader=SimpleNamespace(conf=SimpleNamespace(topology=topology)),
        producer_or_acquire=lambda: nullcontext(SimpleNamespace(publish=lambda body, **given: published.update(given))),
    )
    embedded = dict.fromkeys(('callbacks', 'errbacks', 'chain', 'chord'))
    delivery = {'exchange': exchange, 'routing_key': 'key'}
    request = SimpleNamespace(args=(), kwargs={}, properties=None, delivery_info=delivery, **embedded)
    send_back(SimpleNamespace(app=app, name='export.project', serializer=serializer, request=request), 60)
    assert (published['serializer'], published['routing_key']) == sent
    # A broker that is restarted keeps it, and one that is away for a moment gets it.
    kept = {'exchange': '', 'delivery_mode': 'persistent', 'retry': True, 'retry_policy': {'max_retries': 3}}
    assert kept.items() <= published.items()


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


@pytest.mark.parametrize(
    ('is_ready', 'waited', 'put_off', 'acted'),
    [
        (True, (0.0, False), [], 0),
        (False, (0.0, False), [], 1),
        # It waits since a moment, and may do so for long.
        (False, (0.1, True), [0.5], 0),
    ],
)
def test_a_job_that_has_hardly_waited(
    is_ready: bool, waited: tuple[float, bool], put_off: list[float], acted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Any] = []
    later: list[float] = []
    monkeypatch.setattr(limits, 'waited', lambda pid: waited)
    timer = SimpleNamespace(call_after=lambda seconds, function, arguments: later.append(seconds))

    class Job:
        _job, _worker_pid = 1, 7

        def ready(self) -> bool:
            return is_ready

    limits._put_off(jobs.append, timer)(Job())
    assert (later, len(jobs)) == (put_off, acted)
