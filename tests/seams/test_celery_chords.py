"""The call of chord_unlock that is noted is the one that Celery makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.backends.base import BaseBackend

from cadasta.workertoolbox.seams.celery_chords import tell_backend, unlock_of
from rig.servers.memory import MemoryBroker


class Noting(BaseBackend):
    """Notes when Celery calls it."""

    calls: list[Any]

    def apply_chord(self, header_result_args: Any, body: Any, **options: Any) -> None:
        self.calls.append('apply_chord')
        super().apply_chord(header_result_args, body, **options)
        self.calls.append(unlock_of(self.app, self.app.GroupResult(*header_result_args), body, **options))
        self.calls.append([result.id for result in header_result_args[1]])

    def add_pending_result(self, result: Any, weak: bool = False) -> Any:
        self.calls.append(result.id)
        return super().add_pending_result(result, weak=weak)


def run() -> None: ...


@pytest.fixture
def broker() -> Iterator[MemoryBroker]:
    broker = MemoryBroker()
    yield broker
    broker.close()


def test_celery_tells_the_backend_of_each_task_of_a_header(broker: MemoryBroker) -> None:
    with Celery('seams', broker='memory://', backend=f'{__name__}:Noting', set_as_current=False) as app:
        app.backend.calls = calls = []
        header = [app.signature('one', task_id='1'), app.signature('two', task_id='2')]
        chord(header, app.signature('body', priority=3, queue='celery'), app=app).delay()
        # Both make a group of the results, which tells the backend of them, too.
        assert calls[:5] == ['apply_chord', '1', '2', '1', '2']
        unlock, ids, *told = calls[5:]
        assert ids == told == ['1', '2']
        assert broker.count('celery') == 3
        with app.producer_pool.acquire() as producer:
            unlock.send(producer)
    sent, *_, again = broker.drain('celery')
    assert sent.headers['task'] == again.headers['task'] == 'celery.chord_unlock'
    assert (sent.body, sent.properties['priority']) == (again.body, again.properties['priority'])


def test_the_results_that_tell_it() -> None:
    with Celery('seams', broker='memory://', backend=f'{__name__}:Noting', set_as_current=False) as app:
        app.backend.calls = []
        app.task(run, name='own', backend=BaseBackend(app), shared=False)
        step = app.signature('step')
        results = [step.freeze(), chain(step, step, app=app).freeze(), app.tasks['own'].s().freeze()]
        assert [tell_backend([result], Noting) for result in results] == [True, True, False]
        assert not tell_backend([chain(step, group([step, step]), app=app).freeze()], Noting)
