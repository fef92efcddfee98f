"""PostgreSQL ends a deadlock with somebody who locks rows and tables: a worker and a monitor try again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.monitor import Monitor
from cadasta.workertoolbox.monitor.store import Store
from cadasta.workertoolbox.results import identity
from rig.monitor.databases import url_of
from rig.servers.memory import MemoryBroker
from rig.servers.postgres import Database
from rig.servers.process import PATIENCE, wait_until

from ..monitor.messages import message

pytestmark = [pytest.mark.process, pytest.mark.long]

WAITS = "SELECT 1 FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'"


def cause_deadlock(database: Database, table: str, store: Callable[[], Any]) -> None:
    """Locks a row, has somebody wait for it, and then waits for the lock that this one has on the table."""
    with database.server.connect(database.name) as cursor:
        # PostgreSQL looks for a deadlock when somebody has waited for so long. It ends the statement of this one.
        cursor.execute("SET deadlock_timeout = '60s'")
        cursor.execute(f"BEGIN; SELECT FROM {table} WHERE task_id = '1' FOR UPDATE")
        thread = threading.Thread(target=store)
        thread.start()
        wait_until(lambda: database.execute(WAITS, database.role), 'somebody to wait')
        cursor.execute(f'LOCK TABLE {table} IN SHARE MODE; COMMIT')
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_both_store_in_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(identity, 'name', lambda: 'worker@here#1')
    role = database.role
    upgrade(url_of(database), worker_role=role, monitor_role=role)
    database.execute(f"ALTER ROLE {role} SET deadlock_timeout = '3s'")
    with Store(url_of(database)) as store:
        store.write([message('1', 'export.project', 1)])
    broker = MemoryBroker()
    app = Celery('deadlock', set_as_current=False)
    url = url_of(database, role, database.password)
    app.config_from_object(Config(QUEUES=['export'], result_backend=f'db+{url}', **broker.settings))
    backend: Any = app.backend
    request = Context(id='1', task='export.project', retries=0)
    backend.store_result('1', {}, 'STARTED', request=request)
    pauses: list[float] = []
    monkeypatch.setattr(backend, 'pause', pauses.append)
    cause_deadlock(database, 'celery_taskmeta', lambda: backend.store_result('1', 7, 'SUCCESS', request=request))
    assert database.states() == {'1': 'SUCCESS'}
    assert pauses
    app.send_task('export.project', (2,), task_id='1')
    cause_deadlock(database, 'celery_task', Monitor(app, url, once=True).run)
    assert database.execute('SELECT args FROM celery_task') == [([2],)]
    assert 'The database is busy with others, next try in 0.5 s: deadlock detected' in caplog.text
    backend._engine.dispose()
    broker.close()
