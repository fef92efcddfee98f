"""`celery -A project toolbox ui`: what the operators type and see."""

from __future__ import annotations

import signal
import socket
import sys
import urllib.request

import pytest
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner

from cadasta.workertoolbox.commands import toolbox as toolbox_group
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


def test_public_address_gets_a_warning(toolbox: Toolbox) -> None:
    process = toolbox.start('ui', '--port', '0', '--host', '0.0.0.0')
    url = process.wait_for(URL)[0]
    process.wait_for('^Warning: there is no authentication')
    request = urllib.request.Request(url, headers={'Host': 'tasks.example.org'})
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200


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


@pytest.mark.parametrize('module', ['flask', 'waitress.server'])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    for name in ('cadasta.workertoolbox.ui.app', 'cadasta.workertoolbox.ui.views', 'cadasta.workertoolbox.ui.filters'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    code, output = run()
    assert code == 1
    assert f'{module} is not installed. The page needs: pip install cadasta-workertoolbox[ui]' in output
