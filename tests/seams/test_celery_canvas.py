"""What a chord sends, before it sends it: the list agrees with what Celery sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.canvas import _chain, _chord

from cadasta.workertoolbox.seams import celery_canvas
from cadasta.workertoolbox.seams.celery_canvas import Message
from rig.servers.memory import MemoryBroker


def run(number: int, page: int = 1) -> None: ...


@pytest.fixture
def broker() -> Iterator[MemoryBroker]:
    broker = MemoryBroker()
    yield broker
    broker.close()


@pytest.fixture
def app(broker: MemoryBroker) -> Iterator[Celery]:
    with Celery('seams', broker='memory://', backend='db+sqlite://', set_as_current=False) as app:
        app.task(run, name='run', shared=False, priority=3)
        yield app


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What chords list. The method of `celery.chord` is put back at the end."""
    messages: list[Message] = []
    monkeypatch.setattr(_chord, 'run', _chord.run)
    celery_canvas.before_chords(messages.extend)
    return messages


CANVASES: list[Callable[[Celery, Any], Any]] = [
    lambda app, step: [step, dict(step)],
    lambda app, step: [app.tasks['run'].s(2), app.tasks['run'].s(page=2)],
    lambda app, step: [app.tasks['run'].si(2).set(queue='other', priority=5), step],
    lambda app, step: (app.signature(name) for name in ('one', 'two')),
    lambda app, step: [step, group([step, group([step])]), chain(step, step), chain(chain(step, step), step)],
    lambda app, step: [step, chain(group([]), step), chain(group([step]), step), chain(step, group([step, step]))],
    # A message may bring chains that nobody has made with `chain`, which changes its steps.
    lambda app, step: [step, dict(_chain(group([]), _chain(step, step), step)), _chain(group([step]), step), _chain()],
]


@pytest.mark.parametrize('canvas', CANVASES)
def test_the_header(app: Celery, broker: MemoryBroker, listed: list[Message], canvas: Any) -> None:
    chord(canvas(app, app.signature('step')), app.signature('body'), app=app).apply_async((1,), queue='celery')
    sent = broker.drain('celery') + broker.drain('other')
    header = [message for message in sent if message.headers['task'] != 'celery.chord_unlock']
    assert sorted((message.name, str(list(message.args)), str(message.kwargs)) for message in listed) == sorted(
        (message.headers['task'], str(message.body[0]), str(message.body[1])) for message in header
    )
    assert {message.options['queue'] for message in listed} == {'celery'}
    assert [message.options['priority'] for message in listed if message.task is not None] == [
        message.properties['priority'] for message in header if message.headers['task'] == 'run'
    ]


@pytest.mark.parametrize(
    ('canvas', 'routed', 'queue'),
    [
        (lambda step, body: chord([step, step], body), 'inner', 'other'),
        (lambda step, body: chain(group([step, step]), body), 'inner', 'other'),
        (lambda step, body: _chain(group([step, step]), body), 'inner', 'other'),
        (lambda step, body: chain(chord([step, step], body), step), 'inner', 'other'),
        # Outside of a chain, it has a queue of its own.
        (lambda step, body: chord([step, step], chain(body, step)), 'celery.chain', None),
    ],
)
def test_chords_in_the_header(
    app: Celery, broker: MemoryBroker, listed: list[Message], canvas: Any, routed: str, queue: str | None
) -> None:
    step, body = app.signature('step'), app.signature('inner', queue='other')
    chord([canvas(step, body)], app.signature('body'), app=app).delay()
    # The inner chord lists its own header again.
    assert [message.name for message in listed] == ['step', 'step', routed, 'step', 'step']
    assert listed[2].options['queue'] == queue
    unlocks = [
        message.headers['task'] for message in broker.drain(queue or 'celery') if 'unlock' in str(message.headers)
    ]
    assert len(unlocks) == (1 if queue else 2)


def test_an_error_stops_it(app: Celery, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(messages: Iterator[Message]) -> None:
        raise LookupError(next(messages).name)

    monkeypatch.setattr(_chord, 'run', _chord.run)
    celery_canvas.before_chords(check)
    with pytest.raises(LookupError, match='step'):
        chord([app.signature('step')], app.signature('body'), app=app).delay()
    assert broker.count('celery') == 0
