"""Services have a role each in the database: what they do together goes on, and what is not theirs is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import chord
from psycopg2 import errors

from cadasta.workertoolbox.database.upgrade import upgrade
from rig.monitor.databases import url_of

from .service import Service

REDIS = pytest.mark.parametrize('broker', ['redis'], indirect=True)
QUEUES = '["once", "idle"]'


@REDIS
def test_two_services(once: Service) -> None:
    roles = {'once': once.database.role, 'idle': f'{once.database.role}_idle'}
    for role in roles.values():
        upgrade(url_of(once.database), worker_role=role)
    once.database.execute(f"ALTER ROLE {roles['idle']} PASSWORD '{once.database.password}'")
    once.database.execute(f'GRANT CONNECT ON DATABASE {once.database.name} TO {roles["idle"]}')
    worker = once.start('-Q', 'once,celery', '-c', '1', QUEUES=QUEUES)
    other = once.start('-Q', 'idle', '-c', '1', QUEUES=QUEUES, RESULT_DB_USER=roles['idle'])

    # Somebody sends a task under the id of one that the other service runs. It wedges nobody, and changes nothing.
    theirs = once.send('plain', queue='idle')
    once.wait_for_state(theirs, 'SUCCESS')
    once.database.execute("UPDATE celery_taskmeta SET status = 'STARTED' WHERE task_id = %s", theirs)
    once.send('plain', task_id=theirs)
    worker.wait_for(f'{theirs}. is not run: its row belongs to role {roles["idle"]}')
    assert once.row(theirs, 'status, role, runs') == ('STARTED', roles['idle'], 1)

    # A task is replaced by one of the other service, which has its id.
    replaced = once.send('replaced', 0, 'idle')
    once.wait_for_state(replaced, 'SUCCESS')
    assert once.row(replaced, 'role, runs') == (roles['idle'], 2)

    # A chord waits for the results of both.
    header = [once.app.signature('once.plain').set(queue=queue) for queue in roles]
    body = chord(header)(once.app.signature('once.total'))
    once.wait_for_state(body.id, 'SUCCESS')
    assert body.get(timeout=60) == 2
    assert {result.id: once.row(result.id, 'role') for result in body.parent} == dict(
        zip((result.id for result in body.parent), roles.values(), strict=True)
    )
    assert worker.stop() == 0
    assert other.stop() == 0


@REDIS
def test_an_upgrade_beside_a_worker_of_before(once: Service, tmp_path: Path) -> None:
    """It has the rights of version 1.0, and Celery's statements. Its rights are narrowed while it runs a task."""
    once.database.execute('ALTER TABLE celery_taskmeta DROP started, DROP lease, DROP runs, DROP replaced, DROP role')
    gate = tmp_path / 'gate'
    worker = once.start('-Q', 'once', '-c', '1', project='plain')
    ended, begun = once.send('plain'), once.send('plain', str(gate))
    once.wait_for_state(begun, 'STARTED')
    upgrade(url_of(once.database), worker_role=once.database.role)
    gate.touch()
    # Brokers deliver messages again.
    for task_id in (ended, begun):
        once.wait_for_state(task_id, 'SUCCESS')
        once.send('plain', task_id=task_id)
    after = once.send('plain')
    once.wait_for_state(after, 'SUCCESS')
    assert once.row(after, 'role') == once.database.role
    assert (once.row(ended, 'role'), once.row(begun, 'role')) == (None, None)
    assert 'Error' not in worker.log
    with pytest.raises(errors.InsufficientPrivilege):
        once.database.execute_as_worker('BEGIN; LOCK TABLE celery_taskmeta')
    once.start('-Q', 'once', '-c', '1')
    assert worker.stop() == 0
    claimed = once.send('plain')
    once.wait_for_state(claimed, 'SUCCESS')
    assert once.row(claimed, 'role, runs') == (once.database.role, 1)
