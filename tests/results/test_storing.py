"""Storing never wedges a worker: not what the database refuses, not a database that is away."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadasta.workertoolbox.database.upgrade import upgrade
from rig.monitor.databases import url_of
from rig.servers.broker import Broker
from rig.servers.postgres import Postgres

from .service import Service

pytestmark = pytest.mark.parametrize('broker', ['redis'], indirect=True)


def send_unchecked(once: Service, name: str, task_id: str) -> None:
    """Sends as a producer does that does not look at ids."""
    headers, properties, body, _ = once.app.amqp.as_task_v2(task_id, name, (), {})
    with once.app.producer_or_acquire() as producer:
        producer.publish(body, exchange='', routing_key='once', headers=headers, serializer='json', **properties)


def test_what_the_database_refuses(once: Service) -> None:
    # More than a gigabyte would take too long.
    for column, most in {'result': 1000, 'children': 1000, 'traceback': 50_000}.items():
        once.database.execute(f'ALTER TABLE celery_taskmeta ADD CHECK (octet_length({column}) < {most})')
    worker = once.start('-Q', 'once', '-c', '1')
    once.send('plain')
    for name in ('once.plain', 'once.unknown'):
        send_unchecked(once, name, 'L' * 160)
    refused = {
        once.send('state', 'S' * 60): 'value too long',
        once.send('state', 'a\0b'): 'NUL',
        once.send('odd', 'children'): 'violates check constraint',
        once.send('odd', 'traceback'): r'It was ValueError: .*short',
        once.send('large', 1000): 'violates check constraint',
        once.send('fail', 'x' * 1000): 'violates check constraint',
    }
    odd = {
        once.send('odd', 'meta'): ('FAILURE', 'EncodeError'),
        once.send('odd', 'circular'): ('FAILURE', 'Circular reference'),
        once.send('odd', 'surrogates'): ('SUCCESS', r'"\ud800"'),
    }
    nul = once.send('fail', 'a\0b')
    once.wait_for_state(once.send('plain'), 'SUCCESS')
    for task_id, reason in refused.items():
        status, text = once.row(task_id, "status, convert_from(result, 'utf8')")
        assert status == 'FAILURE'
        assert 'The database refuses it' in text
        assert re.search(reason, text)
    for task_id, (state, part) in odd.items():
        status, text = once.row(task_id, "status, convert_from(result, 'utf8')")
        assert (status, part in text) == (state, True)
    status, traceback = once.row(nul, 'status, traceback')
    assert status == 'FAILURE'
    assert traceback.startswith('Traceback (most recent call last)')
    assert once.count('begin', 'L' * 160) == 0
    assert 'Task once.plain[LLL' in worker.log
    assert worker.stop() == 0


@pytest.mark.parametrize('start_method', ['fork', 'spawn'])
def test_an_outage_is_no_part_of_a_time_limit(
    once: Service, postgres: Postgres, tmp_path: Path, start_method: str
) -> None:
    """One task ends while the database is away, another begins; a third expires, and the main process lives on."""
    gate = tmp_path / 'gate'
    worker = once.start('-Q', 'once', '-c', '2', '--pool-start-method', start_method, settings={'task_time_limit': 4})
    ends = once.send('plain', str(gate))
    once.wait_until(lambda: once.count('begin', ends), 'a task to begin')
    postgres.stop()
    try:
        gate.touch()
        begins = once.send('plain', None, 1)
        expired = once.send('plain', expires=datetime.now(UTC) - timedelta(seconds=1))
        worker.wait_for(f'REVOKED of task {expired} will be stored')
        last = once.send('plain')
        worker.wait_for(rf'{last}. received')
        time.sleep(8)
        assert 'Hard time limit' not in worker.log
        back = datetime.now(UTC).replace(tzinfo=None)
    finally:
        postgres.start()
    for task_id, state in ((ends, 'SUCCESS'), (begins, 'SUCCESS'), (last, 'SUCCESS'), (expired, 'REVOKED')):
        once.wait_for_state(task_id, state)
    assert once.count('begin', expired) == 0
    # It says when it ended, and not when the database was back.
    assert once.row(ends, 'date_done') < back
    limited = once.send('plain', None, 60)
    once.wait_for_state(limited, 'FAILURE')
    assert 'TimeLimitExceeded' in once.row(limited, "convert_from(result, 'utf8')")


@pytest.mark.parametrize('pool', ['prefork', 'prefork --pool-start-method=spawn', 'solo', 'threads'])
def test_a_worker_ends_while_the_database_is_away(
    once: Service, broker: Broker, postgres: Postgres, tmp_path: Path, pool: str
) -> None:
    gate = tmp_path / 'gate'
    worker = once.start('-Q', 'once', '-c', '1', '-P', *pool.split(), lease=3)
    task_id = once.send('late', str(gate))
    once.wait_until(lambda: once.count('begin', task_id), 'the task to begin')
    postgres.stop()
    try:
        gate.touch()
        worker.wait_for('Failed operation store_state')
        # The main process of the threads and of the children stores this one.
        once.send('plain', expires=datetime.now(UTC) - timedelta(seconds=1))
        worker.wait_for('Discarding revoked task') if pool != 'solo' else None
        worker.ask_to_stop()
        worker.wait(60)
    finally:
        postgres.start()
    # The message was not acknowledged.
    once.wait_until(lambda: broker.count('once') == 1, 'the message to go back') if 'prefork' in pool else None
    assert once.row(task_id) == 'STARTED'


def test_a_worker_waits_for_its_table(once: Service) -> None:
    """It does not run its first tasks without claims, nor all that come later."""
    once.database.execute('DROP TABLE celery_taskmeta, celery_tasksetmeta')
    once.database.execute('DROP SEQUENCE task_id_sequence, taskset_id_sequence')
    worker = once.start('-Q', 'once', '-c', '1')
    task_id = once.send('plain')
    worker.wait_for('Failed operation store_state')
    upgrade(url_of(once.database), worker_role=once.database.role)
    once.wait_for_state(task_id, 'SUCCESS')
    assert once.row(task_id, 'runs') == 1


def test_times_are_utc(once: Service) -> None:
    once.database.execute(f"ALTER DATABASE {once.database.name} SET timezone = 'Asia/Tokyo'")
    once.start('-Q', 'once', '-c', '1', PGTZ='Europe/Berlin')
    task_id = once.send('plain')
    once.wait_for_state(task_id, 'SUCCESS')
    date_done, started = once.row(task_id, 'date_done, started')
    assert abs(date_done - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=5)
    assert timedelta(0) <= date_done.replace(tzinfo=UTC) - started < timedelta(minutes=5)


def test_a_table_of_version_1_0(once: Service) -> None:
    once.database.execute('ALTER TABLE celery_taskmeta DROP started, DROP lease, DROP runs, DROP replaced')
    worker = once.start('-Q', 'once', '-c', '2')
    worker.wait_for('has no columns for claims .*Run `celery toolbox tables`')
    task_id = uuid.uuid4().hex
    for _ in range(2):
        once.send('plain', task_id=task_id)
    once.wait_until(lambda: once.count('end', task_id) == 2, 'both copies to run')
    once.wait_for_state(task_id, 'SUCCESS')
    assert worker.log.count('has no columns for claims') == 1


def test_a_password_that_is_wrong_until_it_is_changed(once: Service) -> None:
    """The worker says at its start what to change, starts no task meanwhile, and loses no result."""
    password = f'ALTER ROLE {once.database.role} PASSWORD %s'
    once.database.execute(password, 'rotated')
    worker = once.start('-Q', 'once', '-c', '1')
    worker.wait_for('leases of running tasks cannot be renewed: .*password authentication failed.*RESULT_DB_PASS')
    task_id = once.send('plain')
    worker.wait_for('The result database refuses, and the worker tries on until it does not: .*RESULT_DB_PASS')
    once.database.execute(password, once.database.password)
    once.wait_for_state(task_id, 'SUCCESS')
    assert once.row(task_id, 'runs') == 1
