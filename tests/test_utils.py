"""Followups, and what became of the old gotchas of Celery's canvas."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord
from celery.contrib.testing.worker import start_worker
from celery.exceptions import ChordError, NotRegistered
from kombu.transport import memory

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.utils import extract_followups

from .conftest import leaving_logging

RAN: list[tuple[str, Any]] = []
ERRBACKS: queue.Queue[str] = queue.Queue()

# A worker runs among these tests.
pytestmark = pytest.mark.process


@pytest.fixture(scope='module')
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Celery]:
    database = tmp_path_factory.mktemp('results') / 'results.sqlite'
    app = Celery('test', set_as_current=False)
    app.config_from_object(
        Config(
            ['export', 'msg'],
            CHORD_UNLOCK_MAX_RETRIES=5,
            broker_url='memory://utils',
            result_backend=f'db+sqlite:///{database}',
            result_chord_retry_interval=0.1,
        )
    )

    @app.task(name='export.note')
    def note(value: Any, label: str) -> Any:
        RAN.append((label, value))
        return value

    @app.task(name='export.fail')
    def fail() -> None:
        raise ValueError('broken')

    @app.task(name='export.errback')
    def errback(request: Any, exc: Any, traceback: Any) -> None:
        ERRBACKS.put(str(exc))

    @app.task(name='export.schedule', bind=True)
    def schedule(self: Any) -> str:
        last = note.s('last').set(**extract_followups(self))
        chain(note.s('one', 'first'), last).delay()
        return 'scheduled'

    memory.Transport.global_state.clear()
    queues = ['celery', 'export']
    with (
        leaving_logging(),
        start_worker(app, perform_ping_check=False, pool='solo', queues=queues, shutdown_timeout=30),
    ):
        yield app


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


def test_extract_followups_hands_the_callbacks_on(app: Celery) -> None:
    done = app.signature('export.note', ('done',), task_id='done-after-last')
    app.tasks['export.schedule'].apply_async(link=done)
    assert app.AsyncResult('done-after-last').get(timeout=30) == 'one'
    assert RAN == [('first', 'one'), ('last', 'one'), ('done', 'one')]


@pytest.mark.parametrize(('callbacks', 'errbacks'), [(None, None), (['callback'], None), ([], ['errback'])])
def test_extract_followups(app: Celery, callbacks: Any, errbacks: Any) -> None:
    task = app.tasks['export.schedule']
    task.push_request(callbacks=callbacks, errbacks=errbacks)
    try:
        assert extract_followups(task) == {'link': callbacks, 'link_error': errbacks}
        assert (task.request.callbacks, task.request.errbacks) == (None, errbacks)
    finally:
        task.pop_request()


def test_an_errback_that_this_code_does_not_have_is_sent_to_the_service_that_has_it(app: Celery) -> None:
    errback = app.signature('export.elsewhere', task_id='errback-elsewhere')
    app.tasks['export.fail'].apply_async(link_error=errback)
    # The worker publishes what it cannot call itself. This worker serves the queue, gets it, and says so.
    with pytest.raises(NotRegistered):
        app.AsyncResult('errback-elsewhere').get(timeout=30)


def test_an_errback_that_this_code_has_is_called(app: Celery) -> None:
    result = app.tasks['export.fail'].apply_async(link_error=app.signature('export.errback'))
    with pytest.raises(ValueError, match='broken'):
        result.get(timeout=30)
    assert ERRBACKS.get(timeout=30) == 'broken'


@pytest.mark.parametrize('headers', [1, 2])
def test_a_chord_of_one_task_keeps_its_callbacks_like_any_other(app: Celery, headers: int) -> None:
    note = app.tasks['export.note']
    ids = {name: f'{name}-{headers}' for name in ('of-header', 'of-body', 'of-chord')}
    header = [
        note.s(number, 'header').set(link=note.s('of-header').set(task_id=ids['of-header']) if not number else [])
        for number in range(headers)
    ]
    body = note.s('body').set(link=note.s('of-body').set(task_id=ids['of-body']))
    chord(header)(body, link=note.s('of-chord').set(task_id=ids['of-chord']))
    results = {name: app.AsyncResult(task_id).get(timeout=30) for name, task_id in ids.items()}
    assert results == {'of-header': 0, 'of-body': list(range(headers)), 'of-chord': list(range(headers))}


@pytest.mark.parametrize('headers', [1, 2])
def test_a_chord_of_one_task_keeps_its_errback_like_any_other(app: Celery, headers: int) -> None:
    note = app.tasks['export.note']
    header = [app.tasks['export.fail'].si(), *(note.s(number, 'header') for number in range(1, headers))]
    result = chord(header, note.s('body')).apply_async(link_error=app.signature('export.errback'))
    with pytest.raises(Exception, match='broken'):
        result.get(timeout=30)
    assert 'broken' in ERRBACKS.get(timeout=30)
    assert 'body' not in [label for label, _ in RAN]


def test_a_chord_whose_task_was_lost_gives_up(app: Celery) -> None:
    # Nobody consumes the queue of the second task.
    chord(
        [app.tasks['export.note'].s(1, 'header'), app.signature('msg.lost')],
        app.tasks['export.note'].s('body').set(task_id='body-of-lost'),
    ).delay()
    with pytest.raises(ChordError, match='MaxRetriesExceeded'):
        app.AsyncResult('body-of-lost').get(timeout=60)
