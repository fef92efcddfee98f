"""The watch of a chord is sent when its header was sent, and not before."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.backends.base import BaseBackend
from celery.exceptions import QueueNotFound
from kombu.exceptions import EncodeError

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.results import chords
from rig.servers.memory import MemoryBroker

UNLOCK = 'celery.chord_unlock'


@pytest.fixture
def broker() -> Iterator[MemoryBroker]:
    broker = MemoryBroker()
    yield broker
    broker.close()


@pytest.fixture
def app(broker: MemoryBroker, tmp_path: Path) -> Iterator[Celery]:
    with Celery('export', set_as_current=False) as app:
        app.config_from_object(
            Config(
                QUEUES=['export'],
                broker_url='memory://',
                result_backend=f'db+sqlite:///{tmp_path}/results.sqlite',
                # Celery takes one for a chord, and another for a chord in its header.
                broker_pool_limit=2,
            )
        )
        app.task(run, name='export.project', shared=False)
        yield app


def run(project: int) -> None: ...


def sent(broker: MemoryBroker) -> list[str]:
    """The names of the tasks that were sent, in their order."""
    return [message.headers['task'] for message in broker.drain('export')]


def test_it_comes_after_the_header(app: Celery, broker: MemoryBroker) -> None:
    chord([app.signature('export.one'), app.signature('export.two')], app.signature('export.body'), app=app).delay()
    assert sent(broker) == ['export.one', 'export.two', UNLOCK]


@pytest.mark.parametrize('limit', [None, 1, 2])
def test_it_waits_for_no_connection(app: Celery, broker: MemoryBroker, limit: int | None) -> None:
    app.conf.broker_pool_limit = limit
    for _ in range(3):
        chord([app.tasks['export.project'].s(1)], app.signature('export.body')).delay()
    assert sent(broker) == ['export.project', UNLOCK] * 3


Make = Callable[[Celery, Any, Any], Any]

#: From an app, a step that can be sent and one that cannot: a header, and the number of steps that are sent before.
HEADERS: dict[str, tuple[Make, int]] = {
    'alone': (lambda app, step, bad: [bad], 0),
    'the first': (lambda app, step, bad: [bad, step], 0),
    'the last': (lambda app, step, bad: [step, bad], 1),
    'a dict': (lambda app, step, bad: [step, dict(bad)], 1),
    'of a generator': (lambda app, step, bad: (each for each in (step, bad)), 1),
    'in a group': (lambda app, step, bad: [step, group([bad, step])], 2),
    'the first of a chain': (lambda app, step, bad: [step, chain(bad, step)], 1),
    'in a group that begins a chain': (lambda app, step, bad: [step, chain(group([step, bad]), step)], 2),
    'after a group that begins a chain': (lambda app, step, bad: [step, chain(group([step, step]), bad)], 1),
    'in a chord': (lambda app, step, bad: [step, chord([step, bad], step)], 2),
    'the body of a chord': (lambda app, step, bad: [step, chord([step, step], bad)], 1),
}


@pytest.mark.parametrize('queue', [None, 'nosuch'])
@pytest.mark.parametrize(('header', 'before'), HEADERS.values(), ids=HEADERS)
def test_a_header_that_cannot_be_sent(
    app: Celery, broker: MemoryBroker, header: Make, before: int, queue: str | None
) -> None:
    bad = app.signature('export.bad', queue=queue) if queue else app.signature('nosuch.bad')
    with pytest.raises(QueueNotFound, match='nosuch'):
        chord(header(app, app.signature('export.step'), bad), app.signature('export.body'), app=app).delay()
    assert sent(broker) == ['export.step'] * before


def test_a_chain_that_becomes_a_chord(app: Celery, broker: MemoryBroker) -> None:
    step = app.signature('export.step')
    with pytest.raises(QueueNotFound):
        chain(group([app.signature('nosuch.task'), step]), step, app=app).delay()
    assert sent(broker) == []


@pytest.mark.parametrize('name', ['export.project', 'export.step'])
def test_arguments_that_cannot_be_sent(app: Celery, broker: MemoryBroker, name: str) -> None:
    with pytest.raises(EncodeError):
        chord([app.signature('export.step'), app.signature(name, (object(),))], app.signature('export.body')).delay()
    with pytest.raises(TypeError):
        chord([app.signature('export.step'), app.tasks['export.project'].s()], app.signature('export.body')).delay()
    assert sent(broker) == ['export.step'] * 2


@pytest.mark.parametrize(('name', 'queue'), [('nosuch.body', None), ('export.body', 'nosuch')])
def test_a_body_that_no_queue_serves(app: Celery, broker: MemoryBroker, name: str, queue: str | None) -> None:
    with pytest.raises(QueueNotFound):
        chord([app.signature('export.step')], app.signature(name, queue=queue), app=app).delay()
    assert sent(broker) == []


def test_nested_chords(app: Celery, broker: MemoryBroker) -> None:
    step = app.signature('export.step')
    inner = chord([step, step], app.signature('export.inner'))
    chord([inner, step, chain(group([step, step]), step)], app.signature('export.body'), app=app).delay()
    names = sent(broker)
    assert (names.count('export.step'), names.count(UNLOCK), names[-1]) == (5, 3, UNLOCK)


def test_a_chord_that_is_sent_again_under_its_own_ids(app: Celery, broker: MemoryBroker) -> None:
    """One that could not be sent leaves nothing that the next would set off."""
    step, body = app.signature('export.step', task_id='step'), app.signature('export.body', task_id='body')
    with pytest.raises(QueueNotFound) as kept:
        chord([step, app.signature('nosuch.task', task_id='other')], body, app=app).delay()
    chord([step, app.signature('export.step', task_id='other')], body, app=app).delay()
    assert kept.value
    assert sent(broker) == ['export.step', 'export.step', 'export.step', UNLOCK]


def test_nothing_is_kept_of_what_was_not_sent(app: Celery) -> None:
    with pytest.raises(QueueNotFound) as error:
        chord([app.signature('nosuch.task')], app.signature('export.body'), app=app).delay()
    del error
    gc.collect()
    assert not chords._headers


class Other(BaseBackend):
    """A backend of a task's own."""


@pytest.mark.parametrize('header', ['export.own', 'a chain that ends in a group'])
def test_celerys_own_order(app: Celery, broker: MemoryBroker, header: str) -> None:
    """Nobody tells this backend of a task that was sent."""
    app.task(run, name='export.own', backend=Other(app), shared=False)
    step = app.signature('export.step')
    task = app.tasks['export.own'].s(1) if header == 'export.own' else chain(step, group([step, step]))
    chord([task], app.signature('export.body'), app=app).delay()
    assert sent(broker) == [UNLOCK, 'export.own' if header == 'export.own' else 'export.step']
