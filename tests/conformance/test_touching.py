"""The suite and the check do not call an app's own methods for publishing: a lock that one takes would stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, Task, signals

from cadasta.workertoolbox import Config
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.process import Processes

from ..commands.running import run
from .apps import add, make_app
from .judging import judge, notes_on

PROJECT = """
import os

import redis
from celery import Celery, Task
from cadasta.workertoolbox import Config

locks = redis.Redis.from_url(os.environ['LOCKS'])


class Singleton(Task):
    \'\'\'Sends a task unless it was sent and has not ended, as celery-singleton and celery-once do.\'\'\'

    abstract = True

    def apply_async(self, args=None, kwargs=None, **options):
        if not locks.set(f'lock:{self.name}', 1, nx=True):
            return None
        return super().apply_async(args, kwargs, **options)

    def after_return(self, *args):
        locks.delete(f'lock:{self.name}')


app = Celery('project', TASK_CLASS)
app.config_from_object(
    Config(
        QUEUES=['export', 'msg'],
        broker_url='memory://',
        beat_schedule={'nightly': {'task': 'export.nightly', 'schedule': 86400}},
    )
)


@app.task(base=Singleton, name='export.nightly')
def nightly(): ...


@app.task(base=Singleton, name='export.weekly')
def weekly(): ...
"""
NOT_CALLED = (
    "These methods were not called, because they could leave something behind, such as a lock. Celery's own methods "
    'published the tasks, so the queues that yours choose were not judged: '
)


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
# A base class for all tasks is the class of Celery's own tasks as well, such as chord_unlock.
@pytest.mark.parametrize('task_class', ['', 'task_cls=Singleton'], ids=['base', 'task_cls'])
def test_no_lock_is_taken(tmp_path: Path, processes: Processes, broker: Broker, task_class: str) -> None:
    toolbox = Toolbox(tmp_path, processes, broker, '')
    (tmp_path / 'project.py').write_text(PROJECT.replace(', TASK_CLASS', f', {task_class}' if task_class else ''))
    locks = redis.Redis.from_url(broker.url)
    check = toolbox.start('check', '--offline', LOCKS=broker.url)
    assert check.wait() == 0, check.log
    assert locks.keys('lock:*') == []
    assert f'Note:   {NOT_CALLED}Singleton.apply_async of task ' in check.log


class Refusing(Task):
    """Publishes in a way that the tests must not go."""

    def apply_async(self, *args: Any, **options: Any) -> Any:
        pytest.fail('apply_async was called')


class RefusingApp(Celery):
    def send_task(self, *args: Any, **options: Any) -> Any:
        pytest.fail('send_task was called')


def test_a_method_is_named_with_its_tasks() -> None:
    app = make_app()
    add(app, 'export.archive', base=Refusing)
    assert notes_on(app) == [f"Rule 4: {NOT_CALLED}Refusing.apply_async of task 'export.archive'."]
    add(app, 'export.delete', base=Refusing)
    add(app, 'msg.delete', base=Refusing)
    assert notes_on(app) == [f"Rule 4: {NOT_CALLED}Refusing.apply_async of task 'export.archive' and 2 more."]


def test_a_method_of_the_app_is_named() -> None:
    app = RefusingApp('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'msg']))
    add(app, 'export.project')
    assert notes_on(app) == [f'Rule 4: {NOT_CALLED}RefusingApp.send_task.']


def test_a_method_of_one_task_is_named() -> None:
    app = make_app()
    task = app.tasks['export.project']
    task.apply_async = own = lambda *args, **options: pytest.fail('apply_async was called')
    (note,) = notes_on(app)
    assert note.startswith(f'Rule 4: {NOT_CALLED}<@task: export.project of export at 0x')
    assert note.endswith(">.apply_async of task 'export.project'.")
    assert task.apply_async is own


def test_the_methods_are_back_afterwards() -> None:
    app = make_app()
    add(app, 'export.archive', base=Refusing)
    judge(app)
    with pytest.raises(pytest.fail.Exception):
        app.tasks['export.archive'].delay()


def test_a_task_that_is_sent_by_celerys_own_methods_must_be_tracked_all_the_same() -> None:
    app = make_app()
    add(app, 'report.make', base=Refusing)
    assert set(judge(app)) == {4}


class TestReceiversOfAWorker:
    """A receiver of a worker's signals may reset what runs. The check may run beside the worker that runs it."""

    @pytest.fixture(autouse=True)
    def receiver(self) -> list[str]:
        called: list[str] = []

        def reset_jobs(**kwargs: Any) -> None:
            called.append('reset')

        signals.worker_init.connect(reset_jobs, weak=False)
        signals.celeryd_after_setup.connect(reset_jobs, weak=False)
        return called

    def test_the_check_does_not_call_them(self, receiver: list[str]) -> None:
        result = run(make_app(), 'check', '--offline')
        assert result.exit_code == 0
        assert receiver == []
        name = f'{__name__}.TestReceiversOfAWorker.receiver.<locals>.reset_jobs'
        assert (
            f'functional_tests calls them and judges what they do to the queues of a worker: {name} of worker_init; '
            f'{name} of celeryd_after_setup.\n'
        ) in result.output

    def test_the_suite_calls_them(self, receiver: list[str]) -> None:
        assert notes_on(make_app()) == []
        assert receiver == ['reset', 'reset']

    def test_those_of_an_app_without_a_config_may_set_it_up(self, receiver: list[str]) -> None:
        run(Celery('plain', broker='memory://', set_as_current=False), 'check', '--offline')
        assert receiver == ['reset', 'reset']

    def test_a_producer_has_none(self, receiver: list[str]) -> None:
        assert 'Note:' not in run(make_app(), 'check', '--offline', '--producer').output
        assert receiver == []
