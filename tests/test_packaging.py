"""The distribution, and `python setup.py test clean build tag publish` in a copy of the repository.

The copy has a git remote and a package index of its own.
"""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pypiserver
import pytest

from rig.servers.programs import find_program

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).resolve().parent.parent
# The version of the copy, whatever that of the repository is.
VERSION = '7.8.9'
TAG = f'v{VERSION}'
SDIST = f'cadasta_workertoolbox-{VERSION}.tar.gz'
WHEEL = f'cadasta_workertoolbox-{VERSION}-py3-none-any.whl'
NOT_COPIED = shutil.ignore_patterns(
    '.git', '.venv*', '.coverage*', '.hypothesis', '.*_cache', '__pycache__', '*.egg-info', 'build', 'dist'
)

USER, PASSWORD = 'publisher', 'p@ss:w/rd'
SHOW_VERSION = 'import cadasta.workertoolbox as w; print(w.__version__, w.__file__)'


class Copy:
    """A copy of the repository with all of it committed, a bare remote called origin and a stub of ./runtests."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / 'repository'
        self.environment = {
            'PATH': os.environ['PATH'],
            'HOME': str(directory),
            'PYTHONDONTWRITEBYTECODE': '1',
            'GIT_CONFIG_GLOBAL': os.devnull,
            'GIT_CONFIG_NOSYSTEM': '1',
            'GIT_AUTHOR_NAME': 'Author',
            'GIT_AUTHOR_EMAIL': 'author@example.org',
            'GIT_COMMITTER_NAME': 'Author',
            'GIT_COMMITTER_EMAIL': 'author@example.org',
            'PIP_CONFIG_FILE': os.devnull,
            'PIP_DISABLE_PIP_VERSION_CHECK': '1',
            'PYTHON_KEYRING_BACKEND': 'keyring.backends.null.Keyring',
        }
        shutil.copytree(ROOT, self.path, ignore=NOT_COPIED)
        package = 'cadasta/workertoolbox/__init__.py'
        self.write(package, re.sub('(?m)^__version__ = .*$', f'__version__ = {VERSION!r}', self.read(package)))
        self.write('runtests', '#!/bin/sh\nls dist > tested\n')
        self.write('.git-exclude', 'tested\n')
        self.remote = directory / 'remote.git'
        self.git('init', '--bare', str(self.remote))
        self.git('init')
        self.git('config', 'core.excludesFile', str(self.path / '.git-exclude'))
        self.git('remote', 'add', 'origin', str(self.remote))
        self.commit()

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd or self.path,
            env=self.environment | environment,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def git(self, *arguments: str) -> str:
        done = self.run(find_program('git'), *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def commit(self) -> None:
        self.git('add', '--all')
        self.git('commit', '--message', 'All of it')

    def setup(self, *commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, 'setup.py', *commands, **environment)

    def dist(self) -> set[str]:
        return {path.name for path in self.path.glob('dist/*')}

    def pushed_tags(self) -> list[str]:
        return self.git('ls-remote', '--tags', '--refs', str(self.remote)).split()[1::2]


class Index:
    """A package index on loopback that lets one user upload."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = make_server(
            '127.0.0.1',
            0,
            pypiserver.app(
                roots=[directory],
                authenticate=['update'],
                disable_fallback=True,
                auther=lambda user, password: (user, password) == (USER, PASSWORD),
            ),
            handler_class=QuietHandler,
        )
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        self.twine = {'TWINE_REPOSITORY_URL': f'{self.url}/', 'TWINE_USERNAME': USER, 'TWINE_PASSWORD': PASSWORD}

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.directory.iterdir()}


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    directory = tmp_path / 'index'
    directory.mkdir()
    index = Index(directory)
    thread = threading.Thread(target=index.server.serve_forever)
    thread.start()
    yield index
    index.server.shutdown()
    thread.join()
    index.server.server_close()


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = Copy(tmp_path_factory.mktemp('built'))
    done = copy.setup('build')
    assert done.returncode == 0, done.stdout
    return copy


@pytest.fixture
def python(tmp_path: Path) -> str:
    """A virtual environment of its own, whose pip and setuptools are those of the tests."""
    directory = tmp_path / 'environment'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', directory], check=True)
    site_packages = directory / 'lib' / f'python{sys.version_info.major}.{sys.version_info.minor}' / 'site-packages'
    (site_packages / 'tests.pth').write_text(sysconfig.get_path('purelib'))
    return str(directory / 'bin' / 'python')


def assert_imported_from(directory: Path, copy: Copy, python: str) -> None:
    shown = copy.run(python, '-c', SHOW_VERSION, cwd=directory.parent)
    assert shown.returncode == 0, shown.stdout
    version, file = shown.stdout.split()
    assert version == VERSION
    assert Path(file).is_relative_to(directory)


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f'cadasta_workertoolbox-{VERSION}.dist-info/METADATA'))


def requirements(file: str) -> list[str]:
    lines = (ROOT / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


@pytest.mark.parametrize('file', ['requirements.txt', 'requirements-ui.txt'])
def test_every_requirement_has_a_floor_and_no_cap_below_the_next_major_version(file: str) -> None:
    for requirement in requirements(file):
        match = re.fullmatch(r'[\w-]+>=(\d+)\.[\d.]+,<(\d+)', requirement)
        assert match, requirement
        assert int(match[2]) > int(match[1]), requirement


def test_wheel_is_the_package_in_a_namespace_that_others_can_share(built: Copy) -> None:
    with zipfile.ZipFile(built.path / 'dist' / WHEEL) as archive:
        names = {name for name in archive.namelist() if '.dist-info/' not in name}
        licence = archive.read(f'cadasta_workertoolbox-{VERSION}.dist-info/licenses/LICENSE')
    modules = {str(path.relative_to(ROOT)) for path in ROOT.glob('cadasta/**/*.py')}
    ui = ROOT / 'cadasta/workertoolbox/ui'
    sql = ROOT.glob('cadasta/workertoolbox/database/sql/*/*.sql')
    data = {str(path.relative_to(ROOT)) for path in (*ui.glob('templates/*'), *ui.glob('static/*'), *sql)}
    assert len(data) > 5
    assert names == modules | data | {'cadasta/workertoolbox/py.typed'}
    assert 'cadasta/__init__.py' not in names
    assert b'GNU AFFERO GENERAL PUBLIC LICENSE' in licence


def test_metadata(built: Copy) -> None:
    fields = metadata(built.path / 'dist' / WHEEL)
    assert {
        name: fields[name]
        for name in (
            'Name',
            'Version',
            'Summary',
            'Author-email',
            'License-Expression',
            'Requires-Python',
            'Description-Content-Type',
        )
    } == {
        'Name': 'cadasta-workertoolbox',
        'Version': VERSION,
        'Summary': 'Cadasta Worker Toolbox',
        'Author-email': 'Anthony Lukach <alukach@cadasta.org>',
        'License-Expression': 'AGPL-3.0-only',
        'Requires-Python': '>=3.11',
        'Description-Content-Type': 'text/x-rst',
    }
    assert 'Homepage, https://github.com/Cadasta/cadasta-workertoolbox' in fields.get_all('Project-URL', [])
    assert fields.get_payload() == (ROOT / 'README.rst').read_text()
    assert {sort_specifiers(value) for value in fields.get_all('Requires-Dist', [])} == {
        sort_specifiers(requirement)
        for requirement in [
            *requirements('requirements.txt'),
            *(f'{requirement}; extra == "ui"' for requirement in requirements('requirements-ui.txt')),
        ]
    }
    assert fields.get_all('Provides-Extra') == ['ui']


def sort_specifiers(requirement: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r'[<>=]+[\d.]+|[\w-]+', requirement)))


def test_source_distribution_can_run_the_tests(built: Copy) -> None:
    with tarfile.open(built.path / 'dist' / SDIST) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert {
        'CHANGELOG.rst',
        'CONTRIBUTING.rst',
        'LICENSE',
        'README.rst',
        'SECURITY.md',
        'pyproject.toml',
        'requirements-deploy.txt',
        'requirements-test.txt',
        'requirements-ui.txt',
        'requirements.txt',
        'rig/servers/process.py',
        'runtests',
        'setup.cfg',
        'setup.py',
        'tests/conftest.py',
        'tests/test_packaging.py',
    } <= names


@pytest.mark.parametrize('editable', [[], ['--editable']], ids=['copied', 'editable'])
def test_pip_installs_the_repository(copy: Copy, python: str, tmp_path: Path, editable: list[str]) -> None:
    done = copy.run(python, '-m', 'pip', 'install', '--no-deps', '--no-build-isolation', *editable, str(copy.path))
    assert done.returncode == 0, done.stdout
    assert_imported_from(copy.path if editable else tmp_path / 'environment', copy, python)


def test_release(copy: Copy, index: Index, python: str, tmp_path: Path) -> None:
    copy.write('dist/cadasta_workertoolbox-0.9.0.tar.gz', 'an older build')
    copy.write('build/lib/cadasta/workertoolbox/removed_since.py', '')
    copy.write('cadasta_workertoolbox.egg-info/SOURCES.txt', '')

    done = copy.setup('test', 'clean', 'build', 'tag', 'publish', **index.twine)

    assert done.returncode == 0, done.stdout
    assert PASSWORD not in done.stdout
    # The tests ran before the older build was removed.
    assert (copy.path / 'tested').read_text() == 'cadasta_workertoolbox-0.9.0.tar.gz\n'
    assert copy.dist() == {SDIST, WHEEL}
    with zipfile.ZipFile(copy.path / 'dist' / WHEEL) as archive:
        assert 'cadasta/workertoolbox/removed_since.py' not in archive.namelist()
    assert copy.pushed_tags() == [f'refs/tags/{TAG}']
    assert copy.git('cat-file', '-t', TAG).strip() == 'tag', 'an annotated tag is an object of its own'
    assert copy.git('rev-parse', f'{TAG}^{{}}') == copy.git('rev-parse', 'HEAD')
    assert index.files() == {name: (copy.path / 'dist' / name).read_bytes() for name in (SDIST, WHEEL)}

    installed = copy.run(
        python,
        '-m',
        'pip',
        'install',
        '--ignore-installed',
        '--no-deps',
        '--index-url',
        f'{index.url}/simple/',
        'cadasta-workertoolbox',
    )
    assert installed.returncode == 0, installed.stdout
    assert_imported_from(tmp_path / 'environment', copy, python)


def test_release_stops_at_a_failing_test(copy: Copy, index: Index) -> None:
    copy.write('runtests', '#!/bin/sh\nexit 1\n')
    copy.commit()
    done = copy.setup('test', 'clean', 'build', 'tag', 'publish', **index.twine)
    assert done.returncode == 1
    assert 'Mend it first' in done.stdout
    assert (copy.dist(), copy.pushed_tags(), index.files()) == (set(), [], {})


def test_release_stops_at_a_tag_that_cannot_be_pushed(copy: Copy, index: Index) -> None:
    copy.git('remote', 'set-url', 'origin', str(copy.path / 'nowhere'))
    done = copy.setup('build', 'tag', 'publish', **index.twine)
    assert done.returncode == 1
    assert f'git push origin {TAG}' in done.stdout
    assert index.files() == {}


@pytest.mark.parametrize('command', ['tag', 'publish'])
@pytest.mark.parametrize('change', ['edited', 'new'])
def test_dirty_tree_is_refused(copy: Copy, index: Index, command: str, change: str) -> None:
    assert copy.setup('build').returncode == 0
    name = {'edited': 'README.rst', 'new': 'cadasta/workertoolbox/new.py'}[change]
    copy.write(name, 'changed')
    done = copy.setup(command, **index.twine)
    assert done.returncode == 1
    assert 'not committed' in done.stdout
    assert name in done.stdout
    assert (copy.git('tag'), copy.pushed_tags(), index.files()) == ('', [], {})


def test_version_is_tagged_once(copy: Copy) -> None:
    copy.git('tag', TAG)
    done = copy.setup('tag')
    assert done.returncode == 1
    assert 'raise __version__ in cadasta/workertoolbox/__init__.py' in done.stdout


def test_publish_needs_a_build(copy: Copy, index: Index) -> None:
    copy.write(f'dist/{SDIST}', 'and no wheel')
    done = copy.setup('publish', **index.twine)
    assert done.returncode == 1
    assert 'python setup.py clean build' in done.stdout
    assert index.files() == {}


def test_publish_says_where_the_password_comes_from(copy: Copy, index: Index) -> None:
    assert copy.setup('build').returncode == 0
    done = copy.setup('publish', **index.twine | {'TWINE_PASSWORD': 'wr0ng'})
    assert done.returncode == 1
    assert 'TWINE_PASSWORD' in done.stdout
    assert 'wr0ng' not in done.stdout
    assert index.files() == {}
