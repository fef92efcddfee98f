"""`celery -A project toolbox ui`: what the operators type and see."""

from __future__ import annotations

import base64
import http.client
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner
from werkzeug.security import generate_password_hash

from cadasta.workertoolbox.commands import toolbox as toolbox_group
from cadasta.workertoolbox.conf import Config
from rig.monitor.programs import Toolbox

from .seed import SECRET, Seed

URL = r'^http://\S+/$'


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        return str(response.read().decode())


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_serves_until_it_is_told_to_stop(toolbox: Toolbox, seed: Seed, number: signal.Signals) -> None:
    seed.task('7', 'FAILURE', args=[SECRET])
    process = toolbox.start('ui', '--port', '0')
    url = process.wait_for(URL)[0]
    assert url.startswith('http://127.0.0.1:')
    assert 'export.project' in fetch(url)
    assert SECRET not in fetch(f'{url}tasks/7')
    process.popen.send_signal(number)
    assert process.wait() == 0
    assert 'Traceback' not in process.log
    assert 'authentication' not in process.log


def test_variables(toolbox: Toolbox, seed: Seed) -> None:
    seed.task('7', args=[SECRET])
    process = toolbox.start('ui', TOOLBOX_PORT='0', TOOLBOX_SHOW_ARGUMENTS='1', TOOLBOX_HOST='::1')
    url = process.wait_for(URL)[0]
    assert url.startswith('http://[::1]:')
    assert SECRET in fetch(f'{url}tasks/7')


@pytest.mark.parametrize('address', ['127.0.0.1', '0.0.0.0'])
def test_host_names_that_are_allowed(toolbox: Toolbox, address: str) -> None:
    process = toolbox.start('ui', '--port', '0', '--allow-host', 'tasks.example.org', TOOLBOX_HOST=address)
    port = int(process.wait_for(URL)[0].rstrip('/').rpartition(':')[2])
    for host, status in {'tasks.example.org': 200, f'localhost:{port}': 200, 'other.example.org': 400}.items():
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        connection.request('GET', '/', headers={'Host': host})
        assert connection.getresponse().status == status
        connection.close()


@pytest.mark.parametrize('scheme', ['tcp', 'udp'])
def test_variables_that_kubernetes_makes_of_services(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """One is called like the commands, and one like a variable of Config."""
    for service in ('TOOLBOX', 'RESULT_DB'):
        monkeypatch.setenv(f'{service}_SERVICE_HOST', '10.0.0.7')
        monkeypatch.setenv(f'{service}_SERVICE_PORT', '80')
        monkeypatch.setenv(f'{service}_PORT', f'{scheme}://10.0.0.7:80')
        monkeypatch.setenv(f'{service}_PORT_80_TCP', f'{scheme}://10.0.0.7:80')
        monkeypatch.setenv(f'{service}_PORT_80_TCP_PORT', '80')
        monkeypatch.setenv(f'{service}_PORT_80_TCP_ADDR', '10.0.0.7')
    assert toolbox_group.commands['ui'].make_context('ui', []).params['port'] == 8642
    assert Config()['RESULT_DB_PORT'] == '5432'
    monkeypatch.setenv('TOOLBOX_PORT', '80')
    assert toolbox_group.commands['ui'].make_context('ui', []).params['port'] == 80


HALVES = (b'', b'G', b'GET / HTTP/1.1\r\nHost: localhost\r\n', b'POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n')


def test_half_sent_requests(toolbox: Toolbox) -> None:
    """A person gets the page beside 200 connections on which nothing more comes, and the server ends these."""
    process = toolbox.start('ui', '--port', '0')
    url = process.wait_for(URL)[0]
    address = ('127.0.0.1', int(url.rstrip('/').rpartition(':')[2]))
    with ExitStack() as stack:
        halves = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(200)]
        for number, half in enumerate(halves):
            half.sendall(HALVES[number % len(HALVES)])
        for _ in range(3):
            assert 'No task is known' in fetch(f'{url}tasks')
        for half in halves[: len(HALVES)]:
            while half.recv(4096):
                pass


@pytest.mark.parametrize(
    ('request_', 'status'),
    [
        (b'GET / HTTP/1.1\r\nX: ' + b'x' * 20_000, b'431'),
        (b'POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n', b'413'),
    ],
)
def test_large_requests(toolbox: Toolbox, request_: bytes, status: bytes) -> None:
    url = toolbox.start('ui', '--port', '0').wait_for(URL)[0]
    port = int(url.rstrip('/').rpartition(':')[2])
    with socket.create_connection(('127.0.0.1', port), timeout=60) as client:
        client.sendall(request_)
        assert client.recv(64).split()[1] == status


def test_public_address_gets_a_warning(toolbox: Toolbox) -> None:
    process = toolbox.start('ui', '--port', '0', '--host', '0.0.0.0')
    url = process.wait_for(URL)[0]
    process.wait_for('^Warning: there is no authentication')
    request = urllib.request.Request(url, headers={'Host': 'tasks.example.org'})
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200


def answer_to(url: str, headers: dict[str, str]) -> str:
    """The page as a client gets it that sends these headers, whatever they are."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as response:
        return str(response.read().decode())


def password(name: str, word: str) -> dict[str, str]:
    return {'Authorization': f'Basic {base64.b64encode(f"{name}:{word}".encode()).decode()}'}


#: A stranger writes a header also as the web server would write it, because WSGI has one name for both.
ROLES = ('X-Role', 'X_Role', 'X_FORWARDED_FOR', 'X-Forwarded-For', 'X-Forwarded-Prefix', 'X-Forwarded-Host')


@pytest.mark.parametrize('trusted', ['127.0.0.1', '10.0.0.7', ''])
def test_proxies(toolbox: Toolbox, seed: Seed, trusted: str) -> None:
    """Only what a proxy sends at whose address the page trusts one."""
    seed.task('7', args=[SECRET])
    options = ['--trust-proxy', trusted, '--arguments-for', 'X-Role=operator'] if trusted else []
    process = toolbox.start('ui', '--port', '0', '--access-log', '--url-prefix', '/ops/queue/', *options)
    url = process.wait_for(URL)[0]
    assert url.endswith('/ops/queue/')
    forged = answer_to(f'{url}tasks/7?find={SECRET}', dict.fromkeys(ROLES, 'operator'))
    assert ('hush' in forged) == (trusted == '127.0.0.1')
    assert 'href="/ops/queue/tasks"' in forged
    answer_to(f'{url}tasks', {'X_Role': 'operator', 'X_FORWARDED_FOR': '6.6.6.6'})
    lines = process.wait_for(r'(?s)"GET /ops/queue/tasks HTTP.*').string.splitlines()
    clients = [line.partition(' - - [')[0] for line in lines if '"GET ' in line]
    assert clients == ['operator' if trusted == '127.0.0.1' else '127.0.0.1', '127.0.0.1']
    assert SECRET not in process.log


def test_users_beside_one_who_tries_passwords(toolbox: Toolbox, seed: Seed, tmp_path: Path) -> None:
    """Ada gets pages while 20 clients try passwords without a pause."""
    users = tmp_path / 'users'
    users.touch(0o600)
    users.write_text(f'ada:{generate_password_hash("correct-horse")}\n')
    process = toolbox.start('ui', '--port', '0', '--users', str(users), '--host', '0.0.0.0')
    process.wait_for('^Warning: there is no encryption')
    url = process.wait_for(URL)[0].replace('0.0.0.0', '127.0.0.1')
    ada = password('ada', 'correct-horse')
    assert 'No task is known' in answer_to(f'{url}tasks', ada)
    is_over = threading.Event()

    def attack(number: int) -> set[int]:
        found = set()
        while not is_over.is_set():
            with pytest.raises(urllib.error.HTTPError) as refused:
                answer_to(url, password(('ada', 'bob')[number % 2], str(number)))
            found.add(refused.value.code)
        return found

    with ThreadPoolExecutor(20) as pool:
        attacks = [pool.submit(attack, number) for number in range(20)]
        try:
            for _ in range(10):
                assert 'No task is known' in answer_to(f'{url}tasks', ada)
        finally:
            is_over.set()
    assert set().union(*(attack.result() for attack in attacks)) == {401, 429}


def run(*arguments: str) -> tuple[int, str]:
    app = Celery('commands', broker='memory://', backend='db+sqlite://', set_as_current=False)
    done = CliRunner().invoke(toolbox_group, ['ui', *arguments], obj=CLIContext(app, no_color=True, workdir=None))
    return done.exit_code, done.output


@pytest.mark.process
def test_port_is_taken() -> None:
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        code, output = run('--port', str(port))
    assert code == 1
    assert f'Error: Cannot listen on 127.0.0.1, port {port}: Address already in use' in output


@pytest.mark.process
def test_unknown_database() -> None:
    code, output = run('--port', '0', '--database', f'mssql://ada:{SECRET}@localhost/')
    assert code == 1
    assert 'is not the URL of a PostgreSQL or SQLite database' in output
    assert SECRET not in output


@pytest.mark.process
@pytest.mark.parametrize(
    ('arguments', 'code', 'problem'),
    [
        (['--url-prefix', '//evil.example'], 2, "'//evil.example' is no prefix of paths. Write it /queue"),
        (['--trust-proxy', 'proxy'], 2, "'proxy' is no address of a proxy. Write it 10.0.0.7"),
        (['--arguments-for', 'X-Role=operator'], 2, 'Say which proxy to trust: --trust-proxy'),
        (['--users', 'nowhere'], 1, 'The users in nowhere cannot be read: No such file or directory'),
    ],
)
def test_what_cannot_be_understood(arguments: list[str], code: int, problem: str) -> None:
    found, output = run('--port', '0', *arguments)
    assert found == code
    assert problem in output
    assert 'Traceback' not in output


@pytest.mark.parametrize('module', ['flask', 'waitress.server'])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    for name in ('cadasta.workertoolbox.ui.app', 'cadasta.workertoolbox.ui.views', 'cadasta.workertoolbox.ui.filters'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    code, output = run()
    assert code == 1
    assert f'{module} is not installed. The page needs: pip install cadasta-workertoolbox[ui]' in output
