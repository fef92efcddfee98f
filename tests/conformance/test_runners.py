"""The example worker's tests, and those of a Django project, under each test runner."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / 'examples'
WORKERS = ['export_worker', 'msg_worker']
# Without the configuration and the plugins of this repository's own tests.
PYTEST = ('pytest', '-c', os.devnull, '--rootdir', '.', '-p', 'no:cacheprovider')
XDIST = ('-p', 'xdist', '-n', '2')


def run(directory: Path, *command: str) -> tuple[int, str]:
    """Run a command of Python's in a directory: its exit code and its output."""
    environment = {
        **os.environ,
        'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1',
        'PYTHONPATH': os.pathsep.join([str(directory), str(REPOSITORY), *os.environ.get('PYTHONPATH', '').split(':')]),
    }
    done = subprocess.run(
        [sys.executable, '-m', *command],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize('worker', WORKERS)
def test_the_examples_pass_unittest(worker: str) -> None:
    code, output = run(EXAMPLES, 'unittest', f'{worker}/tests.py')
    assert code == 0, output
    assert re.search(r'Ran 10 tests in .*\n\nOK\n', output)


@pytest.mark.parametrize('options', [(), XDIST], ids=['alone', 'xdist'])
def test_the_examples_pass_pytest(options: tuple[str, ...]) -> None:
    paths = [f'{worker}/tests.py' for worker in WORKERS]
    code, output = run(EXAMPLES, *PYTEST, *options, *paths)
    assert code == 0, output
    assert re.search(r'\b20 passed\b', output)


def test_the_examples_pass_djangos_runner(project: Path) -> None:
    code, output = run(
        EXAMPLES,
        'django',
        'test',
        '--pythonpath',
        str(project),
        '--settings',
        'site_settings',
        *[f'{worker}.tests' for worker in WORKERS],
    )
    assert code == 0, output
    assert re.search(r'Ran 20 tests in .*\n\nOK\n', output)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Django project with a worker whose tasks are discovered, and tests of its own that use a database."""
    (tmp_path / 'site_settings.py').write_text(
        "SECRET_KEY = 'secret'\n"
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'exporter']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'TEST': {'NAME': 'test.sqlite'}}}\n"
        'from cadasta.workertoolbox.conf import Config\n'
        "CELERY = Config(QUEUES=['export'])\n"
    )
    (tmp_path / 'exporter').mkdir()
    (tmp_path / 'exporter' / '__init__.py').write_text('from .celery import app\n')
    (tmp_path / 'exporter' / 'celery.py').write_text(
        'from celery import Celery\n'
        'from django.conf import settings\n'
        "app = Celery('exporter')\n"
        'app.config_from_object(settings.CELERY)\n'
        'app.autodiscover_tasks()\n'
    )
    (tmp_path / 'exporter' / 'tasks.py').write_text(
        'from celery import shared_task\n'
        'from django.contrib.contenttypes.models import ContentType\n'
        "@shared_task(name='export.project')\n"
        'def project(id: int) -> None: ...\n'
    )
    (tmp_path / 'exporter' / 'tests.py').write_text(
        'from django.contrib.contenttypes.models import ContentType\n'
        'from django.db import connection\n'
        'from django.test import TestCase\n'
        'from cadasta.workertoolbox.tests import build_functional_tests\n'
        'from .celery import app\n'
        'class DatabaseTests(TestCase):\n'
        '    @classmethod\n'
        '    def setUpTestData(cls):\n'
        "        ContentType.objects.create(app_label='a', model='b')\n"
        '        cls.before = id(connection.connection)\n'
        '        suite = build_functional_tests(app)\n'
        '        suite.setUpClass()\n'
        '        suite.doClassCleanups()\n'
        '    def test_connection_is_left_open(self):\n'
        '        self.assertEqual(id(connection.connection), self.before)\n'
        "        self.assertTrue(ContentType.objects.filter(app_label='a').exists())\n"
        'WorkerTests = build_functional_tests(app)\n'
        'ProducerTests = build_functional_tests(app, is_worker=False)\n'
    )
    return tmp_path


@pytest.mark.parametrize('options', [(), ('--parallel', '2')], ids=['alone', 'parallel'])
def test_a_django_project_passes(project: Path, options: tuple[str, ...]) -> None:
    code, output = run(project, 'django', 'test', '--settings', 'site_settings', *options)
    assert code == 0, output
    assert re.search(r'Ran 21 tests in .*\n\nOK \(skipped=1\)\n', output)


BROKEN = """

@app.task(name='report.make', serializer='pickle')
def make() -> None: ...
"""


def assert_failure_is_reported(code: int, output: str, suite: str) -> None:
    assert code == 1, output
    assert suite in output
    assert "Rule 4: every message reaches exactly its work queue and 'platform.fifo'." in output
    assert "Where:  task 'report.make'" in output


@pytest.mark.parametrize('options', [(), ('--parallel', '2')], ids=['alone', 'parallel'])
def test_a_failure_in_a_django_project_is_reported(project: Path, options: tuple[str, ...]) -> None:
    with (project / 'exporter' / 'tasks.py').open('a') as tasks:
        tasks.write(f'from .celery import app{BROKEN}')
    code, output = run(project, 'django', 'test', '--settings', 'site_settings', *options)
    assert_failure_is_reported(code, output, 'exporter.tests.WorkerTests')


def test_results_that_django_stores_are_failed_with_the_reason(project: Path) -> None:
    settings = project / 'site_settings.py'
    text = settings.read_text().replace("'exporter']", "'django_celery_results', 'exporter']")
    settings.write_text(text.replace("QUEUES=['export']", "QUEUES=['export'], result_backend='django-db'"))
    code, output = run(project, 'django', 'test', '--settings', 'site_settings', 'exporter.tests.WorkerTests')
    assert code == 1, output
    assert output.count('AssertionError: Rule') == output.count('Rule 6: results go to a database backend.') == 1
    assert "Seen:   <class 'django_celery_results.backends.database.DatabaseBackend'>" in output
    assert "Change: django-celery-results stores results in tables of its own, in Django's database: the " in output
    assert "Leave result_backend to Config and give RESULT_DB_HOST and so on, or set it to a 'db+" in output


in_each_runner = pytest.mark.parametrize(
    'command',
    [
        ('unittest', 'export_worker/tests.py'),
        (*PYTEST, 'export_worker/tests.py'),
        (*PYTEST, *XDIST, 'export_worker/tests.py'),
    ],
    ids=['unittest', 'pytest', 'xdist'],
)


def run_with(task: str, directory: Path, command: tuple[str, ...]) -> tuple[int, str]:
    """Runs the tests of the example, to which a task is added."""
    shutil.copytree(EXAMPLES / 'export_worker', directory / 'export_worker')
    with (directory / 'export_worker' / 'tasks.py').open('a') as tasks:
        tasks.write(task)
    return run(directory, *command)


@in_each_runner
def test_a_failure_is_reported(tmp_path: Path, command: tuple[str, ...]) -> None:
    code, output = run_with(BROKEN, tmp_path, command)
    assert_failure_is_reported(code, output, 'FunctionalTests')


IGNORING = """

@app.task(name='export.quiet', ignore_result=True)
def quiet() -> None: ...
"""
NOTE = 'ConformanceNote: Rule 6: No result of these tasks is stored, so they may run twice: task '


@in_each_runner
def test_a_note_is_shown_and_fails_nothing(tmp_path: Path, command: tuple[str, ...]) -> None:
    code, output = run_with(IGNORING, tmp_path, command)
    assert code == 0, output
    assert f"tests.py:6: {NOTE}'export.quiet'." in output


def test_a_note_is_ignored_by_its_name(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / 'export_worker', tmp_path / 'export_worker')
    with (tmp_path / 'export_worker' / 'tasks.py').open('a') as tasks:
        tasks.write(IGNORING)
    code, output = run(
        tmp_path, *PYTEST, '-W', 'ignore::cadasta.workertoolbox.ConformanceNote', 'export_worker/tests.py'
    )
    assert code == 0, output
    assert 'ConformanceNote' not in output


@pytest.mark.parametrize('options', [(), ('--parallel', '2')], ids=['alone', 'parallel'])
def test_a_note_in_a_django_project_is_shown(project: Path, options: tuple[str, ...]) -> None:
    with (project / 'exporter' / 'tasks.py').open('a') as tasks:
        tasks.write(f'from .celery import app{IGNORING}')
    code, output = run(project, 'django', 'test', '--settings', 'site_settings', *options)
    assert code == 0, output
    # The suites of the worker and of the producer.
    assert output.count(NOTE) == 2
