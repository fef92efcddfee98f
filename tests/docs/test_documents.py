"""The README is short and true: its code runs, its commands are there, and its links reach files."""

from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kombu.pools
import pytest
from docutils import nodes
from docutils.core import publish_doctree
from kombu.transport.filesystem import Transport

import cadasta.workertoolbox

ROOT = Path(__file__).parents[2]
REPOSITORY = 'https://github.com/Cadasta/cadasta-workertoolbox'
RAW = 'https://raw.githubusercontent.com/Cadasta/cadasta-workertoolbox'
LINK = re.compile(rf'(?:{REPOSITORY}/blob|{RAW})/main/([\w./-]+)')

DOCUMENTS = ['README.rst', 'CHANGELOG.rst', 'CONTRIBUTING.rst', 'examples/README.rst']
WITH_LINKS = [
    *DOCUMENTS,
    'SECURITY.md',
    '.github/ISSUE_TEMPLATE/config.yml',
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('docs/**/*.rst')),
]


def read(name: str) -> nodes.document:
    """Parse a document; a warning is an error."""
    return publish_doctree((ROOT / name).read_text(), settings_overrides={'halt_level': 2})


@pytest.mark.parametrize('name', DOCUMENTS)
def test_documents_have_no_faults(name: str) -> None:
    assert read(name).next_node(nodes.title) is not None


def test_the_readme_is_short() -> None:
    assert len((ROOT / 'README.rst').read_text().split()) <= 700


@pytest.mark.parametrize('name', WITH_LINKS)
def test_links_into_the_repository_reach_files(name: str) -> None:
    for path in LINK.findall((ROOT / name).read_text()):
        assert (ROOT / path).is_file(), path


def test_the_readme_links_to_the_manual() -> None:
    linked = LINK.findall((ROOT / 'README.rst').read_text())
    assert {'docs/index.rst', 'docs/tutorial.rst', 'docs/reference/settings.rst', 'CONTRIBUTING.rst'} <= set(linked)


def rooms() -> set[str]:
    """The rooms of the package, as the import contracts name them."""
    contracts = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['importlinter']['contracts']
    (layers,) = (contract['layers'] for contract in contracts if contract['type'] == 'layers')
    return set(re.findall(r'\w+', ' '.join(layers)))


def test_the_map_of_the_code_has_every_room() -> None:
    table = read('CONTRIBUTING.rst').next_node(nodes.table)
    described = {
        name for literal in table.findall(nodes.literal) for name in re.findall(r'^\w+(?=\.py$|/$)', literal.astext())
    }
    drawn = set(re.findall(r'(\w+)(?:\.py|/)[<,]', (ROOT / 'docs/_static/map.svg').read_text()))
    assert described == drawn == rooms()


def test_paths_that_contributors_are_told_exist() -> None:
    literals = {literal.astext() for literal in read('CONTRIBUTING.rst').findall(nodes.literal)}
    paths = {text for text in literals if re.fullmatch(r'[\w/-]+(\.\w+|/)', text) and text.count('/') > 0}
    package = ROOT / 'cadasta' / 'workertoolbox'
    assert [path for path in sorted(paths) if not ((ROOT / path).exists() or (package / path).exists())] == []


README = read('README.rst')


def blocks(language: str) -> list[str]:
    return [block.astext() for block in README.findall(nodes.literal_block) if language in block['classes']]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with the files that the README shows."""
    for block in blocks('python'):
        name, _, _ = block.partition('\n')
        if name.startswith('# '):
            (tmp_path / name[2:]).write_text(block)
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
    # kombu would send over a connection of another test that has the same URL, and into its directory. And it would
    # believe that the bindings of another test are those of this directory.
    kombu.pools.reset()
    Transport.global_state.clear()
    yield tmp_path
    for name in [name for name in sys.modules if name.partition('.')[0] == 'export']:
        del sys.modules[name]


@pytest.fixture
def environment(project: Path) -> dict[str, str]:
    return {**os.environ, 'PYTHONPATH': os.pathsep.join([str(project), str(ROOT)])}


def test_python_of_the_readme_runs(project: Path) -> None:
    namespace: dict[str, Any] = {}
    exec('from export import app', namespace)
    for block in blocks('python'):
        if not block.startswith('# '):
            exec(compile(block, 'README.rst', 'exec'), namespace)
    sent = [path.name.partition('.')[2] for path in (project / 'data').iterdir()]
    assert sorted(sent) == ['export.msg', 'platform.fifo.msg']


@pytest.mark.process
def test_worker_of_the_readme_runs(project: Path, environment: dict[str, str]) -> None:
    send = "from export import app; app.send_task('export.project', (42,), task_id='of-the-readme')"
    subprocess.run([sys.executable, '-c', send], env=environment, cwd=project, check=True, timeout=60)
    (command,) = (command for command in commands() if command.startswith('celery '))
    worker = subprocess.Popen(
        [sys.executable, '-m', *shlex.split(command), '-l', 'info'],
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


@pytest.mark.process
def test_tests_of_the_readme_pass(project: Path, environment: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, '-m', 'unittest', 'tests.py'],
        env=environment,
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert 'Ran 10 tests' in run.stderr


def commands() -> list[str]:
    return [line.removeprefix('$ ') for block in blocks('console') for line in block.splitlines()]


def is_the_repository(url: str) -> bool:
    metadata = ''.join((ROOT / name).read_text() for name in ('setup.cfg', 'pyproject.toml'))
    return url in re.findall(r'https://[\w./-]+', metadata)


def is_the_directory_of_the_clone(name: str) -> bool:
    return REPOSITORY.endswith(f'/{name}')


def is_a_program(name: str) -> bool:
    return os.access(ROOT / name, os.X_OK)


def is_the_distribution(name: str) -> bool:
    # Raises an error where no distribution has the name.
    return bool(importlib.metadata.version(name))


def is_run_above(arguments: str) -> bool:
    return arguments == '-A export worker -Q export'


@pytest.mark.parametrize('command', commands())
def test_commands_of_the_readme_can_be_run(command: str) -> None:
    judges: dict[str, Callable[[str], bool]] = {
        'git clone ': is_the_repository,
        'cd ': is_the_directory_of_the_clone,
        './': is_a_program,
        'pip install ': is_the_distribution,
        'celery ': is_run_above,
    }
    (judge,) = ((beginning, judge) for beginning, judge in judges.items() if command.startswith(beginning))
    assert judge[1](command.removeprefix(judge[0]))


@pytest.mark.parametrize(
    'module',
    [module.name for module in pkgutil.walk_packages(cadasta.workertoolbox.__path__, 'cadasta.workertoolbox.')],
)
def test_examples_of_docstrings(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some make a database.
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(module))
    assert results.failed == 0
