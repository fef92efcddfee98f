"""`celery -A project toolbox tables`: the roles that it makes suffice for what they are made for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cadasta.workertoolbox.monitor import Monitor
from rig.monitor.databases import url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until

from ..monitor.test_streams import make_app


@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_a_reader_looks_at_tasks(tmp_path: Path, processes: Processes, broker: Broker, database: Database) -> None:
    roles = [f'{database.name}_{kind}' for kind in ('monitor', 'reader')]
    toolbox = Toolbox(tmp_path, processes, broker, url_of(database))
    assert toolbox.start('tables', '--monitor-role', roles[0], '--reader-role', roles[1]).wait() == 0
    for role in roles:
        database.execute(f"GRANT CONNECT ON DATABASE {database.name} TO {role}; ALTER ROLE {role} PASSWORD 'x'")
    app = make_app(broker)
    task_id = app.send_task('export.project', (7,)).id
    wait_until(lambda: broker.count(PLATFORM_QUEUE) == 1, 'the message')
    Monitor(app, url_of(database, roles[0], 'x'), once=True).run()
    toolbox.environment['TOOLBOX_DATABASE'] = url_of(database, roles[1], 'x')
    listed, drawn, checked = (
        toolbox.start(*arguments) for arguments in (('tasks',), ('tasks', '--tree', task_id), ('check', '--json'))
    )
    for process in (listed, drawn):
        assert process.wait() == 0, process.log
        assert task_id in process.log
    checked.wait()
    findings = [found for found in json.loads(checked.log)['findings'] if found['concern'] == 'tasks']
    assert {found['state'] for found in findings} == {'passed'}, findings
    assert findings[-1]['note'] == f'{roles[1]} may read'
