"""Web servers, set up as the how-to shows, send tasks from all of their processes."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.process import Process, Processes, free_port, wait_until

from .manual import Manual

pytestmark = [pytest.mark.slow, pytest.mark.parametrize('broker', ['redis'], indirect=True)]

(PAGE,) = PAGES = ['howto/webservers']

#: The page does not show this: the application sends a task before it is forked, and tells which process answers.
MORE = """
import os
app.send_task('export.project', (41,))
answer = application

def application(environ, start_response):
    return [*answer(environ, start_response), f' {os.getpid()}'.encode()]
"""
SERVERS = {
    'gunicorn': ['-m', 'gunicorn', '--config', 'gunicorn.conf.py', '--bind', '127.0.0.1:PORT'],
    'uwsgi': ['uwsgi', '--ini', 'uwsgi.ini', '--http-socket', '127.0.0.1:PORT'],
}


@pytest.fixture(params=SERVERS)
def server(
    request: pytest.FixtureRequest, manual: Manual, broker: Broker, processes: Processes, tmp_path: Path
) -> tuple[Process, str]:
    for block in manual.blocks(PAGE):
        (tmp_path / block.caption).write_text(f'{block.text}\n')
    with (tmp_path / 'website.py').open('a') as code:
        code.write(MORE)
    port = str(free_port())
    command = [argument.replace('PORT', port) for argument in SERVERS[request.param]]
    program = [] if command[0] == 'uwsgi' else [sys.executable]
    process = processes.start([*program, *command], clean_environment(tmp_path, **broker.environment), tmp_path)
    return process, f'http://127.0.0.1:{port}/'


def test_tasks_are_sent_by_each_process(server: tuple[Process, str], broker: Broker) -> None:
    process, url = server
    tasks, pids = set(), set()

    def ask() -> bool:
        try:
            task, pid = urllib.request.urlopen(url, timeout=20).read().decode().split()
        except urllib.error.URLError:
            assert process.is_running, process.log
            return False
        tasks.add(task)
        pids.add(pid)
        return len(pids) == 2

    wait_until(ask, 'both processes to answer')
    assert process.stop() == 0
    sent = {message.headers['id'] for message in broker.drain('export')}
    assert tasks < sent
    assert {message.headers['id'] for message in broker.drain('platform.fifo')} == sent
