"""What the documents say is true: their code runs, their tables match, their commands are tested."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
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

ROOT = Path(__file__).parents[2]
README = publish_doctree((ROOT / 'README.rst').read_text(), settings_overrides={'halt_level': 2})

#: Commands of the README, and what runs them.
COMMANDS = {
    'pip install --editable . -r requirements-docs.txt': 'runtests',
    'sphinx-build docs build/docs': 'runtests',
    './quickstart': 'tests/test_quickstart.py',
    './runtests': 'runtests',
    'pip install cadasta-workertoolbox': 'tests/test_packaging.py',
    'celery -A export worker -Q export': 'tests/unit/test_documents.py',
    'python -m unittest export/tests.py': 'tests/unit/test_documents.py',
    'pytest export/tests.py': 'tests/suite/test_runners.py',
    'django-admin test export.tests': 'tests/suite/test_runners.py',
    'celery -A export toolbox tables --worker-role export --monitor-role monitor': 'tests/monitor/test_upgrade.py',
    'celery -A export toolbox monitor': 'tests/monitor/test_commands.py',
    'celery -A export toolbox check': 'tests/commands/test_check.py',
    'celery -A export toolbox topology': 'tests/commands/test_topology.py',
    'celery -A export toolbox tasks --state failure --newer-than 1d': 'tests/status/test_command.py',
    'celery -A export toolbox ui': 'tests/ui/test_command.py',
    'pip install -r requirements-deploy.txt': 'requirements-test.txt',
    'python setup.py test clean build tag publish': 'tests/test_packaging.py',
}


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


def test_worker_of_the_readme_runs(project: Path) -> None:
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(project), str(ROOT)])}
    send = "from export.celery import app; app.send_task('export.project', (42,), task_id='of-the-readme')"
    subprocess.run([sys.executable, '-c', send], env=environment, cwd=project, check=True, timeout=60)
    worker = subprocess.Popen(
        [sys.executable, '-m', 'celery', '-A', 'export', 'worker', '-Q', 'export', '-l', 'info'],
        env=environment,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert worker.stdout is not None
        assert any('Task export.project[of-the-readme] succeeded' in line for line in worker.stdout)
    finally:
        worker.terminate()
        worker.communicate(timeout=60)
    assert worker.returncode == 0


def test_tests_of_the_readme_pass(project: Path) -> None:
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(project), str(ROOT)])}
    run = subprocess.run(
        [sys.executable, '-m', 'unittest', 'export/tests.py'],
        env=environment,
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert 'Ran 9 tests' in run.stderr


def test_every_command_of_the_readme_is_run() -> None:
    commands = [line.removeprefix('$ ') for block in blocks('console') for line in block.splitlines()]
    assert set(commands) == set(COMMANDS)
    for runner in COMMANDS.values():
        assert (ROOT / runner).is_file()


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
            text, value = {'QUEUES': ('["7"]', "['7']"), 'RUN_ONCE': ('no', 'False')}.get(name, ('7', '7'))
            monkeypatch.setenv(variable.partition(',')[0], text)
            assert str(Config()[name]) == value, name


@pytest.mark.parametrize(
    'module',
    [module.name for module in pkgutil.walk_packages(cadasta.workertoolbox.__path__, 'cadasta.workertoolbox.')],
)
def test_examples_of_docstrings(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some make a database.
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0
