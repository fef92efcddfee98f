"""A worker whose role was made by `celery toolbox tables --worker-role`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from celery import Celery
from celery.result import AsyncResult, GroupResult

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import NotAllowed
from cadasta.workertoolbox.monitor import Monitor, upgrade
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.broker import Broker
from rig.servers.environment import clean_environment
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until

EXAMPLES = Path(__file__).parents[2] / 'examples'
SEND = """
from export_worker.tasks import atlas, boundary, everything, report
for workflow in (report('a'), atlas('b'), everything.si('c'), boundary.si('d')):
    workflow.apply_async()
"""


@pytest.fixture
def role(database: Database) -> Database:
    """A database where nothing was granted by hand."""
    database.execute(f'REVOKE ALL ON celery_taskmeta, task_id_sequence FROM {database.role}')
    upgrade(url_of(database), worker_role=database.role)
    return database


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_the_example_runs_and_is_tracked(broker: Broker, role: Database, processes: Processes) -> None:
    environment = clean_environment(EXAMPLES, **broker.environment, **role.environment)
    roles = {'export': role.role, 'msg': f'{role.role}_msg'}
    upgrade(url_of(role), worker_role=roles['msg'])
    role.execute(f"ALTER ROLE {roles['msg']} PASSWORD '{role.password}'")
    role.execute(f'GRANT CONNECT ON DATABASE {role.name} TO {roles["msg"]}')
    for project in ('export_worker', 'msg_worker'):
        queue = project.removesuffix('_worker')
        processes.start(
            [
                sys.executable,
                '-m',
                'celery',
                '-A',
                project,
                'worker',
                '-c',
                '2',
                '-Q',
                queue,
                '-n',
                queue,
                '-l',
                'INFO',
            ],
            {**environment, 'RESULT_DB_USER': roles[queue]},
        ).wait_for('ready')
    assert processes.start([sys.executable, '-c', SEND], environment).wait() == 0
    app = Celery('platform', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export', 'msg'], **broker.settings))
    tasks = TaskDatabase(url_of(role))

    def finished() -> bool:
        Monitor(app, tasks.url, once=True).run()
        rows = [
            row
            for row in tasks.execute('SELECT name, status FROM celery_task_status')
            if row['name'] and not row['name'].startswith('celery.')
        ]
        # 2 of the chain, 3 and 1 of the chord, 1 and then 2 and 1 of the nested chord, and the failure.
        return len(rows) >= 11 and all(row['status'] in ('SUCCESS', 'FAILURE') for row in rows)

    wait_until(finished, 'all tasks to finish', 60)
    states = {row['name']: row['status'] for row in tasks.execute('SELECT name, status FROM celery_task_status')}
    assert states['export.archive'] == states['msg.send'] == 'SUCCESS'
    assert states['export.boundary'] == 'FAILURE'
    query = """
        SELECT DISTINCT split_part(t.name, '.', 1), role FROM celery_task t JOIN celery_taskmeta USING (task_id)
        WHERE t.name NOT LIKE 'celery.%' AND runs > 0"""
    assert dict(role.execute(query)) == roles


@pytest.fixture
def app(role: Database) -> Celery:
    app = Celery('worker', set_as_current=False)
    app.config_from_object(
        Config(
            broker_url='memory://',
            result_backend=f'db+{url_of(role, role.role, role.password)}',
            database_engine_callback='cadasta.workertoolbox.results:refuse_clearly',
        )
    )
    return app


def test_a_group_cannot_be_saved_and_that_is_said(app: Celery) -> None:
    with pytest.raises(NotAllowed, match='permission denied for table celery_tasksetmeta'):
        GroupResult('1', [AsyncResult('2', app=app)], app=app).save()


def test_a_result_cannot_be_forgotten_and_that_is_said(app: Celery) -> None:
    app.backend.store_result('1', 7, 'SUCCESS')
    with pytest.raises(NotAllowed, match='permission denied for table celery_taskmeta'):
        AsyncResult('1', app=app).forget()
    assert app.backend.get_result('1') == 7


def test_a_result_is_stored_when_the_role_gets_its_rights_back(app: Celery, role: Database) -> None:
    app.backend._sleep = lambda seconds: role.execute(f'GRANT INSERT ON celery_taskmeta TO {role.role}')
    role.execute(f'REVOKE INSERT ON celery_taskmeta FROM {role.role}')
    app.backend.store_result('1', 7, 'SUCCESS')
    assert role.states() == {'1': 'SUCCESS'}
