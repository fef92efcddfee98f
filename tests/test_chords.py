"""A chord that cannot be sent raises its error before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, Task, chain, chord, group
from celery.exceptions import QueueNotFound
from kombu.exceptions import EncodeError
from kombu.transport import memory

from cadasta.workertoolbox.conf import Config
from rig.servers.memory import MemoryBroker


@pytest.fixture(autouse=True)
def memory_broker() -> Iterator[MemoryBroker]:
    broker = MemoryBroker()
    yield broker
    broker.close()


@pytest.fixture
def app() -> Iterator[Celery]:
    with Celery('export', set_as_current=False) as app:
        app.config_from_object(Config(QUEUES=['export', 'msg'], broker_url='memory://', result_backend='db+sqlite://'))
        app.task(run, name='export.project', shared=False)
        yield app


def run(project: int) -> None: ...


def sent() -> dict[str, int]:
    return {name: queue.qsize() for name, queue in memory.Channel.queues.items() if queue.qsize()}


Make = Callable[[Celery, Any, Any], Any]

# From an app, a step that can be sent and one that cannot.
HEADERS: dict[str, Make] = {
    'a task': lambda app, step, bad: [step, bad],
    'a dict': lambda app, step, bad: [step, dict(bad)],
    'of a generator': lambda app, step, bad: (each for each in (step, bad)),
    'a group': lambda app, step, bad: [step, group([step, bad])],
    'the first of a chain': lambda app, step, bad: [step, chain(bad, step)],
    'the first of a chain in a chain': lambda app, step, bad: [step, chain(chain(bad, step), step)],
    'after an empty group': lambda app, step, bad: [step, chain(group([]), bad)],
    'in a group that begins a chain': lambda app, step, bad: [step, chain(group([step, bad]), step)],
    'after a group that begins a chain': lambda app, step, bad: [step, chain(group([step, step]), bad)],
    'in a chord': lambda app, step, bad: [step, chord([step, bad], step)],
    'in a chord that begins a chain': lambda app, step, bad: [step, chain(chord([bad, step], step), step)],
    'the body of a chord': lambda app, step, bad: [step, chord([step, step], bad)],
}


@pytest.mark.parametrize('bad', ['nosuch.task', 'export.task'])
@pytest.mark.parametrize('header', HEADERS.values(), ids=HEADERS)
def test_a_task_of_the_header_that_no_queue_serves(app: Celery, header: Make, bad: str) -> None:
    step = app.signature('export.step')
    signature = app.signature(bad, queue='nosuch' if bad == 'export.task' else None)
    with pytest.raises(QueueNotFound, match='nosuch'):
        chord(header(app, step, signature), app.signature('export.body'), app=app).delay()
    assert sent() == {}


def test_a_chain_that_becomes_a_chord(app: Celery) -> None:
    step = app.signature('export.step')
    with pytest.raises(QueueNotFound):
        chain(group([step, app.signature('nosuch.task')]), step, app=app).delay()
    assert sent() == {}


def test_a_body_that_no_queue_serves(app: Celery) -> None:
    with pytest.raises(QueueNotFound):
        chord([app.signature('export.step')], app.signature('nosuch.body'), app=app).delay()
    assert sent() == {}


def test_arguments_that_a_task_does_not_take(app: Celery) -> None:
    with pytest.raises(TypeError, match='project'):
        chord([app.signature('export.step'), app.tasks['export.project'].s()], app.signature('export.body')).delay()
    assert sent() == {}


@pytest.mark.parametrize('name', ['export.project', 'export.step'])
def test_arguments_that_cannot_be_serialized(app: Celery, name: str) -> None:
    with pytest.raises(EncodeError):
        chord([app.signature('msg.step'), app.signature(name, (object(),))], app.signature('export.body')).delay()
    assert sent() == {}


@pytest.mark.parametrize(
    ('header', 'messages'),
    [
        (lambda app, step, later: [step, step], 2),
        # A worker sends what comes after the first step: it may know queues that this app does not.
        (lambda app, step, later: [step, chain(step, later)], 2),
        (lambda app, step, later: [step, chain(group([step]), step)], 2),
        (lambda app, step, later: [step, chord([step, step], step)], 4),
        (lambda app, step, later: [step, app.tasks['export.project'].chunks(range(4), 2)], 2),
        (lambda app, step, later: [app.tasks['export.project'].s(1)], 1),
        (lambda app, step, later: [app.tasks['export.project'].s()], 0),
    ],
)
def test_a_chord_that_can_be_sent(app: Celery, header: Make, messages: int) -> None:
    """With the partial arguments of the call, and one message more for its own body."""
    tasks = header(app, app.signature('export.step'), app.signature('nosuch.task'))
    call = chord(tasks, app.signature('export.body'), app=app)
    call.apply_async((1,) if not messages else (), priority=3)
    assert sum(sent().values()) == 2 * (1 + (messages or 1))


def test_a_chord_whose_tasks_take_models(app: Celery) -> None:
    from pydantic import BaseModel

    class Project(BaseModel):
        id: int

    def export(project: Project) -> None: ...

    export.__annotations__['project'] = Project
    task = app.task(export, name='export.model', pydantic=True, shared=False)
    chord([task.s(Project(id=1))], app.signature('export.body')).delay()
    assert sent() == {'export': 2, 'platform.fifo': 2}


def test_the_arguments_of_a_task_that_does_not_check_them(app: Celery) -> None:
    task = app.task(run, name='export.untyped', typing=False, shared=False)
    chord([task.s()], app.signature('export.body')).delay()
    assert sent() == {'export': 2, 'platform.fifo': 2}


def test_a_nested_body_needs_no_queue_where_nothing_waits_for_the_header(app: Celery) -> None:
    """A backend that counts results sends no chord_unlock."""
    app.conf.result_backend = 'cache+memory://'
    inner = chord([app.signature('export.step')], app.signature('nosuch.body'))
    chord([app.signature('export.step'), inner], app.signature('export.body'), app=app).delay()
    assert sent() == {'export': 2, 'platform.fifo': 2}


def test_an_apply_async_of_ones_own_is_left_alone(app: Celery) -> None:
    class Sent(Task):
        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            return super().apply_async(args, kwargs, **{**options, 'queue': 'msg'})

    task = app.task(run, name='report.make', base=Sent, shared=False)
    chord([task.s(1)], app.signature('export.body')).delay()
    assert sent() == {'export': 1, 'msg': 1, 'platform.fifo': 2}


def test_an_app_without_a_config_sends_as_before() -> None:
    with Celery('plain', set_as_current=False, broker='memory://', backend='db+sqlite://') as app:
        app.conf.task_create_missing_queues = False
        bad = app.signature('plain.task', queue='nosuch')
        with pytest.raises(QueueNotFound):
            chord([bad], app.signature('plain.body'), app=app).delay()
        assert sent() == {'celery': 1}
