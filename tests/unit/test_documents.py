"""What the documents say is true: their code runs, their tables match, their commands are tested."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docutils import nodes
from docutils.core import publish_doctree

import cadasta.workertoolbox
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database import roles

from .. import shown
from ..monitor.databases import url_of
from ..servers.postgres import Database
from ..servers.process import Process, Processes, free_port

ROOT = Path(__file__).parents[2]
README = publish_doctree((ROOT / 'README.rst').read_text(), settings_overrides={'halt_level': 2})


def blocks(language: str) -> list[str]:
    return [block.astext() for block in README.findall(nodes.literal_block) if language in block['classes']]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with the files that the README shows."""
    for block in blocks('python'):
        name, _, _ = block.partition('\n')
        if name.startswith('# '):
            path = tmp_path / name[2:]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)
    (tmp_path / 'export' / '__init__.py').touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv('CELERY_BROKER_URL', 'filesystem://')
    (tmp_path / 'data').mkdir()
    monkeypatch.setenv(
        'CELERY_BROKER_TRANSPORT_OPTIONS',
        (
            f'{{"data_folder_in": "{tmp_path}/data", "data_folder_out": "{tmp_path}/data", '
            f'"control_folder": "{tmp_path}/control"}}'
        ),
    )
    monkeypatch.setenv('CELERY_RESULT_BACKEND', f'db+sqlite:///{tmp_path}/results.sqlite')
    yield tmp_path
    for name in [name for name in sys.modules if name.partition('.')[0] == 'export']:
        del sys.modules[name]


def test_python_of_the_readme_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    exec('from export.celery import app, Config', namespace)
    for module in ('tasks', 'archives'):
        importlib.import_module(f'export.{module}')
    for block in blocks('python'):
        if not block.startswith('# '):
            exec(compile(block, 'README.rst', 'exec'), namespace)
    assert "no work queue serves its routing key 'import'" in capsys.readouterr().out
    sent = [path.name.partition('.')[2] for path in (project / 'data').iterdir()]
    assert sorted(sent) == ['export.msg', 'export.msg', 'platform.fifo.msg', 'platform.fifo.msg']


#: A producer that declares its queues.
SEND = """
from cadasta.workertoolbox.setup import setup_app
from export.celery import app

setup_app(app, throw=True)
app.send_task('export.project', (42,), task_id='of-the-readme')
"""


def environment_of(project: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        'PATH': os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']]),
        'PYTHONPATH': os.pathsep.join([str(project), str(ROOT)]),
        **more,
    }


def test_worker_of_the_readme_runs(project: Path, processes: Processes) -> None:
    environment = environment_of(project)
    subprocess.run([sys.executable, '-c', SEND], env=environment, cwd=project, check=True, timeout=60)
    worker = processes.start(['celery', '-A', 'export', 'worker', '-Q', 'export', '-l', 'info'], environment, project)
    worker.wait_for(r'Task export\.project\[of-the-readme\] succeeded')
    assert worker.stop() == 0


@pytest.mark.parametrize(
    ('command', 'passed'),
    [
        ('python -m unittest export/tests.py', r'Ran 9 tests in .*\n\nOK'),
        ('pytest export/tests.py', r'\b8 passed, 1 skipped\b'),
        ('django-admin test export.tests', r'Ran 9 tests in .*\n\nOK'),
    ],
    ids=['unittest', 'pytest', 'django'],
)
def test_tests_of_the_readme_pass(project: Path, command: str, passed: str) -> None:
    (project / 'site_settings.py').write_text("SECRET_KEY = 'secret'")
    environment = environment_of(project, DJANGO_SETTINGS_MODULE='site_settings', PYTEST_DISABLE_PLUGIN_AUTOLOAD='1')
    run = subprocess.run(command.split(), env=environment, cwd=project, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(passed, run.stdout + run.stderr)


def test_platform_of_the_readme(project: Path, database: Database, processes: Processes) -> None:
    environment = environment_of(
        project,
        CELERY_RESULT_BACKEND=f'db+{url_of(database)}',
        # The role of this test owns the database.
        TOOLBOX_ANY_ROLE='1',
        TOOLBOX_PORT=str(free_port()),
    )

    def start(command: str) -> Process:
        return processes.start(command.split(), environment, project)

    def run(command: str) -> str:
        process = start(command)
        assert process.wait() == 0, process.log
        return process.log

    subprocess.run([sys.executable, '-c', SEND], env=environment, cwd=project, check=True, timeout=60)
    try:
        run('celery -A export toolbox tables --worker-role export --monitor-role monitor')
        monitor = start('celery -A export toolbox monitor')
        monitor.wait_for('Ready: ')
        assert run('celery -A export toolbox check').endswith('0 failed, 3 skipped\n')
        assert 'export.project' in run('celery -A export toolbox topology')
        database.execute("INSERT INTO celery_taskmeta (id, task_id, status) VALUES (1, 'of-the-readme', 'FAILURE')")
        assert 'of-the-readme' in run('celery -A export toolbox tasks --state failure --newer-than 1d')
        page = start('celery -A export toolbox ui')
        page.wait_for('http://')
        assert (monitor.stop(), page.stop()) == (0, 0)
    finally:
        for role in ('export', 'monitor'):
            database.execute(f'DROP OWNED BY {role}', f'DROP ROLE {role}')


@pytest.mark.parametrize(
    'command',
    ['pip install --editable . -r requirements-docs.txt', 'pip install -r requirements-deploy.txt'],
    ids=['docs', 'deploy'],
)
def test_requirements_of_the_readme(command: str) -> None:
    """What they name is there already: pip needs no index, and changes nothing."""
    options = ['--dry-run', '--no-index', '--no-build-isolation', '--quiet']
    environment = environment_of(ROOT)
    run = subprocess.run([*command.split(), *options], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_every_command_of_the_readme_is_run() -> None:
    """Each is by a test that fails where it does not run it, but for those that no test can run."""
    commands = {line.removeprefix('$ ') for block in blocks('console') for line in block.splitlines()}
    assert commands == shown.OF_README.keys() | shown.NOT_BY_A_TEST
    assert shown.unknown_tests(shown.OF_README.values()) == []


@pytest.mark.parametrize(
    ('process', 'expected'),
    [
        (['/usr/bin/python3', '-m', 'celery', '-A', 'export', 'worker', '-l', 'INFO'], True),
        (['/opt/bin/celery', '--quiet', '-A', 'export', 'worker'], True),
        (['celery', '-A', 'export', 'toolbox', 'check'], False),
        (['worker', '-A', 'export', 'celery'], False),
    ],
)
def test_a_command_is_recognised(process: list[str], expected: bool) -> None:
    assert shown.is_run_by('celery -A export worker', process) is expected


def test_grants_of_the_readme_are_those_of_the_command() -> None:
    grants = [statement.strip() for block in blocks('sql') for statement in block.split(';') if statement.strip()]
    assert grants == [str(statement) for statement in roles.worker('export', {}, {})][1:]


def cells(row: nodes.row) -> list[str]:
    return [cell.astext() for cell in row.findall(nodes.entry)]


def rows(title: str) -> list[list[str]]:
    (table,) = (
        table for table in README.findall(nodes.table) if table.next_node(nodes.title).astext().startswith(title)
    )
    body = table.next_node(nodes.tbody)
    return [cells(row) for row in body.findall(nodes.row)]


def literal(cell: str) -> Any:
    """Read the value at the beginning of a cell."""
    word = cell.partition(' ')[0].rstrip(':')
    if word.startswith('inf'):
        return float('inf')
    if word[0] not in '\'"({[':
        return ast.literal_eval(word)
    for end in range(1, len(cell) + 1):
        try:
            return ast.literal_eval(cell[:end])
        except SyntaxError:
            continue
    raise AssertionError(f'no value in {cell!r}')


def test_table_of_settings() -> None:
    config = Config()
    described = dict(rows('Where Config differs'))
    assert set(described) == set(config.to_dict())
    for name in set(described) - {'task_queues', 'task_routes'}:
        assert literal(described[name]) == config[name], name


def test_table_of_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    described = {name.partition(' ')[0]: (default, variable) for name, default, variable in rows('Variables')}
    assert set(described) == {name for name in config if name == name.upper()}
    for name, (default, variable) in described.items():
        assert literal(default) == config[name], name
        if variable:
            monkeypatch.setenv(variable.partition(',')[0], '["7"]' if name == 'QUEUES' else '7')
            assert str(Config()[name]) in ('7', "['7']"), name


@pytest.mark.parametrize(
    'module',
    [module.name for module in pkgutil.walk_packages(cadasta.workertoolbox.__path__, 'cadasta.workertoolbox.')],
)
def test_examples_of_docstrings(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some make a database.
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0
