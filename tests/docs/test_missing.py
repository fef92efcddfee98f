"""The commands of the how-to find nothing missing, and the role that it makes may send a task again."""

from __future__ import annotations

import pytest

from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes

from .manual import Manual
from .service import Service
from .terminal import Terminal

PAGES = ['howto/missing']
SEND = 'from export.tasks import project; print("sent", project.delay(42).id)'


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_commands(
    manual: Manual, broker: Broker, upgraded: Database, postgresql: TaskDatabase, processes: Processes
) -> None:
    service = Service(processes, {**broker.environment, **upgraded.environment, 'TOOLBOX_DATABASE': postgresql.url})
    terminal = Terminal(processes, service.environment, service.directory)
    for block in manual.blocks(PAGES[0], 'console'):
        terminal.follow(block)
    for block in manual.blocks(PAGES[0], 'sql'):
        upgraded.execute(block.text)
    upgraded.execute(f'GRANT CONNECT ON DATABASE {upgraded.name} TO mender')
    url = url_of(upgraded, 'mender', 'correct-horse')
    try:
        task_id = service.run('-c', SEND).wait_for(r'^sent (\S+)$')[1]
        service.celery('toolbox', 'monitor', '--once')
        broker.drain('export')
        upgraded.execute("UPDATE celery_task SET last_seen = last_seen - interval '5 minutes'")
        done = service.celery('toolbox', 'resend', task_id, '--yes', TOOLBOX_DATABASE=url)
        done.wait_for('^1 sent$')
        upgraded.execute("INSERT INTO celery_taskmeta (id, task_id, status) VALUES (1, %s, 'FAILURE')", task_id)
        service.celery('toolbox', 'resend', task_id, '--yes', TOOLBOX_DATABASE=url).wait_for('^1 sent$')
        assert broker.count('export') == 2
        assert upgraded.states() == {task_id: 'PENDING'}
    finally:
        upgraded.execute('DROP OWNED BY mender; DROP ROLE mender')
