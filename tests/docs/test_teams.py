"""A team shares the page by nginx, gunicorn and a file of users, as the how-to shows."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadasta.workertoolbox.ui.users import Users
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.nginx import Nginx
from rig.servers.process import Process, Processes, accepts_connections, free_port, wait_until
from rig.servers.started import started

from ..ui.seed import SECRET, Seed
from .manual import Manual

pytestmark = pytest.mark.slow

(PAGE,) = PAGES = ['howto/teams']
PORT = '8642'
HOST = 'tasks.example.org'
URL = r'^http://\S+/$'


def commands(manual: Manual) -> list[list[str]]:
    return [shlex.split(line) for block in manual.blocks(PAGE, 'console') for line, _ in block.commands]


def ask(port: int, path: str, user: str = '', source: str = '127.0.0.1', **headers: str) -> tuple[int, str]:
    """What somebody gets whose password is `correct-horse`."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60, source_address=(source, 0))
    given = {'Authorization': f'Basic {b64encode(f"{user}:correct-horse".encode()).decode()}'} if user else {}
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    connection.request('GET', path, headers={'Host': HOST, **given, **headers})
    answer = connection.getresponse()
    status, text = answer.status, answer.read().decode()
    connection.close()
    return status, f'{answer.getheader("Location", "")}{text}'


@pytest.fixture
def users(manual: Manual, tmp_path: Path) -> Path:
    """The file to which the reader has added the user ada."""
    (line,) = (block.text for block in manual.blocks(PAGE, 'sh'))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    # Without a terminal, `getpass` reads its input.
    subprocess.run(
        ['bash', '-euc', line],
        input='correct-horse\n',
        text=True,
        cwd=tmp_path,
        env=clean_environment(PATH=path),
        check=True,
        capture_output=True,
        start_new_session=True,
    )
    file = tmp_path / 'users'
    file.chmod(0o640)
    return file


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    seed = Seed(f'sqlite:///{tmp_path}/tasks.db')
    seed.task('7', args=[SECRET])
    return seed


@pytest.fixture
def toolbox(tmp_path: Path, processes: Processes, seed: Seed) -> Toolbox:
    return Toolbox(tmp_path, processes, Broker('memory', 'memory://', {}), seed.url)


def started_page(manual: Manual, toolbox: Toolbox, option: str, directory: Path) -> tuple[Process, int]:
    """The page as the command starts it that has this option."""
    (arguments,) = (words[words.index('toolbox') + 1 :] for words in commands(manual) if option in words)
    arguments = [str(directory / word) if word == 'users' else word for word in arguments]
    page = toolbox.start(*arguments, TOOLBOX_PORT='0')
    return page, int(re.split('[:/]', page.wait_for(URL)[0])[4])


def test_users(manual: Manual, toolbox: Toolbox, users: Path, tmp_path: Path) -> None:
    assert list(Users(str(users)).read()) == ['ada']
    assert ['chmod', 'o=', 'users'] in commands(manual)
    page, port = started_page(manual, toolbox, '--users', tmp_path)
    answers = [ask(port, path, user, Host='localhost')[0] for path in ('/', '/metrics') for user in ('', 'bob', 'ada')]
    assert answers == [401, 401, 200] * 2
    assert ask(port, '/healthz', Host='localhost') == (200, 'ok\n')
    assert 'Anybody' not in page.log


def site(manual: Manual, directory: Path, port: int, page: int) -> str:
    """The site of the how-to, without TLS and with the files and ports of the test."""
    text = manual.file(PAGE, 'tasks.conf')
    for old, new in {
        'listen 443 ssl;': f'listen 127.0.0.1:{port};',
        '/etc/nginx/users': f'{directory}/htpasswd',
        f'127.0.0.1:{PORT}': f'127.0.0.1:{page}',
    }.items():
        assert old in text
        text = text.replace(old, new)
    return re.sub(r'^ +ssl_.*;$', '', text, flags=re.MULTILINE)


@pytest.fixture
def behind_nginx(manual: Manual, toolbox: Toolbox, tmp_path: Path) -> Iterator[tuple[Process, int, int]]:
    """The page, the port of nginx, and that of the page."""
    directory = tmp_path / 'nginx'
    directory.mkdir()
    (directory / 'htpasswd').write_text(''.join(f'{name}:{{PLAIN}}correct-horse\n' for name in ('ada', 'bob')))
    page, port = started_page(manual, toolbox, '--url-prefix', tmp_path)
    nginx = Nginx(directory, site(manual, directory, outer := free_port(), port), outer)
    assert nginx.complaints() == ''
    with started(nginx):
        yield page, outer, port


def test_nginx(behind_nginx: tuple[Process, int, int]) -> None:
    page, outer, inner = behind_nginx
    assert page.wait_for(URL)[0].endswith('/queue/')
    assert ask(outer, '/queue/')[0] == 401
    assert ask(outer, '/queue/', 'mal')[0] == 401
    assert ask(outer, '/queue/', 'ada', Host='rebound.example')[0] == 400
    status, text = ask(outer, '/queue/tasks/7', 'ada', '127.0.0.2')
    assert (status, SECRET in text) == (200, True)
    # A stranger cannot pass for an operator or for another client, neither through nginx nor beside it.
    forged = {'X_Role': 'operator', 'X_Forwarded_For': '6.6.6.6', 'X_Forwarded_Prefix': '//evil.example'}
    status, text = ask(outer, '/queue/tasks/7', 'bob', '127.0.0.3', **forged)
    assert (status, SECRET in text, 'evil' in text) == (200, False, False)
    assert SECRET not in ask(inner, '/queue/tasks/7', '', '127.0.0.4', **forged)[1]
    assert re.findall(r'^(\S+) - - \[.*"GET /queue/tasks/7 ', page.log, re.MULTILINE) == [
        f'127.0.0.{number}' for number in (2, 3, 4)
    ]
    for link in set(re.findall(r'\b(?:href|src|action)="(/[^"]*)"', text)):
        assert link.startswith('/queue/')
        assert ask(outer, link.replace('&amp;', '&'), 'ada')[0] == 200
    status, text = ask(outer, '/queue/?name=x', 'ada')
    assert (status, text.startswith('/queue/tasks?find=x')) == (302, True)


@pytest.mark.parametrize('way', ['file', 'call'])
def test_gunicorn(manual: Manual, processes: Processes, seed: Seed, users: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / 'page.py').write_text(manual.file(PAGE, 'page.py'))
    (words,) = (words for words in commands(manual) if words[0] == 'gunicorn')
    (call,) = re.findall(r'gunicorn \'(.*)\'', (manual.read(PAGE)).astext())
    if way == 'call':
        words = [call.replace('postgresql:///tasks', seed.url) if word == 'page:app' else word for word in words]
    port = free_port()
    process = processes.start(
        [sys.executable, '-m', *(word.replace(PORT, str(port)) for word in words)],
        clean_environment(tmp_path, TOOLBOX_DATABASE=seed.url),
        tmp_path,
    )
    wait_until(lambda: accepts_connections(port) or not process.is_running, 'gunicorn to accept connections')
    if way == 'call':
        assert ask(port, '/tasks/7', Host='localhost')[0] == 200
        return
    assert ask(port, '/queue/tasks/7')[0] == 401
    for path, host, status in [('/tasks/7', HOST, 404), ('/queue/tasks/7', 'localhost', 400), ('/queue/', HOST, 200)]:
        assert ask(port, path, 'ada', Host=host)[0] == status
    forged = {'X_Forwarded_For': '6.6.6.6, 192.0.2.7', 'X_Role': 'operator', 'Script_Name': '/evil'}
    status, text = ask(port, '/queue/tasks/7', 'ada', **forged)
    assert (status, SECRET in text, 'evil' in text) == (200, False, False)
    process.wait_for(r'^192\.0\.2\.7 - ada \[.*"GET /queue/tasks/7 HTTP/1\.1" 200 ')
    ask(port, '/queue/nowhere', 'ada', '127.0.0.2', **forged)
    process.wait_for(r'^127\.0\.0\.2 - ada \[.*"GET /queue/nowhere HTTP/1\.1" 404 ')
