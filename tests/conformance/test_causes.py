"""The suite and the check say each cause once, whatever number of tasks and rules it breaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from cadasta.workertoolbox import Config

from ..commands.running import run
from .apps import add, make_app
from .judging import judge, notes_on
from .sound import routes_by_arguments_that_nobody_can_make_up

REPOSITORY = Path(__file__).parents[2]
MANY = 79


def with_unserved_tasks(**settings: Any) -> Celery:
    """An app whose callers name a queue at each call: no queue serves the names of its tasks."""
    app = make_app(broker_url='memory://', **settings)
    for number in range(MANY):
        add(app, f'process-incomplete-jobs-{number}')
    return app


class TestAnAppWithoutAConfig:
    @pytest.fixture
    def app(self) -> Celery:
        app = Celery('plain', broker='memory://', set_as_current=False)
        for number in range(MANY):
            add(app, f'process-incomplete-jobs-{number}')
        return app

    def test_the_suite_has_one_failure(self, app: Celery) -> None:
        failures = judge(app)
        ((rule, (message,)),) = failures.items()
        assert rule == 1
        assert message.startswith(
            'AssertionError: Rule 1: the app is configured by a Config.\n'
            '  Where:  the configuration of the app\n'
            "  Seen:   no Config, and setting task_queues: ['celery']; "
        )
        assert 'Change: Configure the app: app.config_from_object(Config(QUEUES=[...]))' in message

    def test_the_check_has_one_failure(self, app: Celery) -> None:
        output = run(app, 'check', '--offline').output
        assert '✗ conformance  rule 1: the platform gets a copy of every message\n' in output
        assert output.endswith('1 passed, 1 failed, 9 skipped\n')
        assert output.count('(The app is not configured by a Config: rule 1 says so.)') == 9

    def test_its_credentials_are_not_shown(self) -> None:
        app = Celery('plain', broker='redis://:hush@localhost:1/0', set_as_current=False)
        app.conf.task_queues = {'amqp://ada:hush@localhost/': {}}
        ((message,),) = judge(app).values()
        assert 'hush' not in message

    def test_an_app_with_the_queues_of_a_config_is_judged_by_each_rule(self) -> None:
        app = Celery('by-hand', set_as_current=False)
        app.conf.update(Config(QUEUES=['export']).to_dict())
        add(app, 'export.project', serializer='pickle')
        assert set(judge(app)) == {5, 7, 9}


class TestTasksThatAreCalledWithAQueue:
    @pytest.mark.parametrize('patterns', ['process-*', ['process-*'], ('nothing', '*-jobs-*')])
    def test_no_queue_has_to_serve_their_names(self, patterns: Any) -> None:
        assert judge(with_unserved_tasks(), called_with_queue=patterns) == {}

    def test_all_others_are_judged(self) -> None:
        app = with_unserved_tasks()
        add(app, 'Process-reports')
        add(app, 'process-archive', routing_key='archive')
        messages = judge(app, called_with_queue='process-*')
        assert set(messages) == {4}
        assert {line for message in messages[4] for line in message.splitlines() if 'Where:' in line} == {
            "  Where:  task 'Process-reports'",
            "  Where:  task 'process-archive'",
        }

    def test_an_entry_of_beat_has_to_name_a_queue(self) -> None:
        entry = {'task': 'process-incomplete-jobs-1', 'schedule': 60, 'args': (1,)}
        schedule = {'without': entry, 'with': {**entry, 'options': {'queue': 'export'}}}
        messages = judge(with_unserved_tasks(beat_schedule=schedule), called_with_queue='process-*')
        assert set(messages) == {4}
        assert "Where:  entry 'without' of setting beat_schedule" in messages[4][0]
        assert len(messages[4]) == 1

    def test_a_failure_says_how(self) -> None:
        messages = judge(with_unserved_tasks())
        assert len(messages[4]) == MANY
        advice = 'Where each call of it names a queue, give its name as called_with_queue, or --called-with-queue.'
        assert all(message.endswith(f'{advice}\n') for message in messages[4])

    def test_the_check(self) -> None:
        assert run(with_unserved_tasks(), 'check', '--offline').exit_code == 1
        assert run(with_unserved_tasks(), 'check', '--offline', '--called-with-queue', 'process-*').exit_code == 0
        several = {'TOOLBOX_CALLED_WITH_QUEUE': 'nothing process-*'}
        assert run(with_unserved_tasks(), 'check', '--offline', **several).exit_code == 0


def test_time_limits_of_the_settings_are_one_failure() -> None:
    app = make_app(task_soft_time_limit=60, task_time_limit=30)
    for number in range(MANY):
        add(app, f'export.project-{number}')
    ((rule, (message,)),) = judge(app).items()
    assert rule == 10
    assert 'Where:  setting task_soft_time_limit\n' in message
    assert 'Seen:   the soft time limit is 60 seconds, and the time limit is 30\n' in message


def test_a_time_limit_of_the_settings_that_is_no_number_is_one_failure() -> None:
    app = make_app(task_time_limit='60')
    for number in range(MANY):
        add(app, f'export.project-{number}')
    ((rule, (message,)),) = judge(app).items()
    assert rule == 10
    assert "Seen:   time_limit is '60'\n" in message


class TestRoutes:
    """Routes pass judgement on every message, so what is wrong with them would be wrong with each."""

    def broken(self, routes: Any) -> str:
        app = make_app(task_routes=routes)
        for number in range(MANY):
            add(app, f'export.project-{number}')
        ((rule, (message,)),) = judge(app).items()
        assert rule == 3
        return message

    def test_that_raise_whatever_they_are_asked(self) -> None:
        def route(*args: Any, **kwargs: Any) -> None:
            raise ConnectionError('postgresql://ada:hush@localhost is away')

        message = self.broken(route)
        assert message.startswith(
            'AssertionError: Rule 3: the routes of an app choose a queue, or none, for each task.\n'
            "  Where:  setting task_routes: a message for 'celery', named 'celery.functional_test' and 8 more\n"
            '  Seen:   ConnectionError: postgresql://********@localhost is away\n'
            '  Change: The routes raise this error whatever the arguments of a task are. '
        )

    def test_that_know_no_other_names(self) -> None:
        def route(name: str, *args: Any, **kwargs: Any) -> Any:
            return {'export.project': 'export'}[name]

        assert "Seen:   KeyError: 'celery.functional_test'\n" in self.broken(route)

    def test_that_were_set_when_the_app_had_its_config(self) -> None:
        app = make_app()
        app.conf.task_routes = {'legacy.*': 'export'}
        for number in range(MANY):
            add(app, f'legacy.project-{number}')
        ((rule, (message,)),) = judge(app).items()
        assert rule == 3
        assert message.startswith(
            "AssertionError: Rule 3: every message reaches exactly its work queue and 'platform.fifo'.\n"
            "  Where:  setting task_routes: a message for 'export', named 'export.functional_test' and 1 more\n"
            '  Seen:   the router of Config is not among the routes, and the message to exchange'
        )
        assert 'Change: Give your routes to Config, as in Config(task_routes=...), and do not set' in message

    def test_that_need_real_arguments(self) -> None:
        app = routes_by_arguments_that_nobody_can_make_up()
        assert notes_on(app) == [
            (
                'Rule 4: The routes of the app cannot use arguments that are made up, and raised TypeError: unsupported'
                " operand type(s) for %: 'NoneType' and 'int'. So it was not judged which queues they choose for task "
                "'export.project'."
            )
        ]


@pytest.mark.process
class TestAWorkerWithoutTasks:
    """A worker discards the message of each task whose module its app has not imported."""

    TESTS = """
from cadasta.workertoolbox.tests import build_functional_tests
from export.celery import app

WorkerTests = build_functional_tests(app)
ProducerTests = build_functional_tests(app, is_worker=False)
"""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        (tmp_path / 'export').mkdir()
        (tmp_path / 'export' / '__init__.py').touch()
        (tmp_path / 'export' / 'tasks.py').write_text(
            "from .celery import app\n@app.task(name='export.project')\ndef project(id): ...\n"
        )
        (tmp_path / 'export' / 'tests.py').write_text(self.TESTS)
        return tmp_path

    def suite(self, project: Path, options: str) -> str:
        (project / 'export' / 'celery.py').write_text(
            'from celery import Celery\n'
            'from cadasta.workertoolbox import Config\n'
            f"app = Celery('export'{options})\n"
            "app.config_from_object(Config(QUEUES=['export']))\n"
        )
        environment = {**os.environ, 'PYTHONPATH': f'{project}{os.pathsep}{REPOSITORY}'}
        command = [sys.executable, '-m', 'unittest', 'export/tests.py']
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True).stderr

    def test_the_suite(self, project: Path) -> None:
        output = self.suite(project, '')
        assert output.endswith('FAILED (failures=1, skipped=1)\n'), output
        assert 'FAIL: test_rule_4_each_task_is_tracked (export.tests.WorkerTests' in output
        assert 'Rule 4: a worker knows the tasks that it runs.\n' in output
        assert 'Change: Name the task modules in imports of Config' in output
        output = self.suite(project, ", include=['export.tasks']")
        assert output.endswith('OK (skipped=1)\n'), output
