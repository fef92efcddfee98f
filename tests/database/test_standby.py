"""A hot standby of PostgreSQL can be read, and what is to be stored waits until it is promoted."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context

from cadasta.workertoolbox.check.databases import check_results, check_tasks
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.monitor import Monitor, loop
from cadasta.workertoolbox.monitor.store import Store
from cadasta.workertoolbox.results import identity
from cadasta.workertoolbox.tracked.query import TrackedTasks
from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.databases import url_of
from rig.servers.memory import MemoryBroker
from rig.servers.postgres import Postgres
from rig.servers.process import PATIENCE, wait_until
from rig.servers.standby import Standby
from rig.servers.started import started

from ..monitor.messages import message

pytestmark = [pytest.mark.process, pytest.mark.long]


def states(tracked: TrackedTasks) -> dict[str, str | None]:
    return {task.task_id: task.status for task in tracked.find(['read', 'stored'])}


def test_what_is_to_be_stored_waits(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, '_LONGEST_PAUSE', 0.5)
    monkeypatch.setattr(identity, 'name', lambda: 'worker@here#1')
    database = postgres.create_database()
    owner, role = url_of(database), database.role
    upgrade(owner, **dict.fromkeys(('worker_role', 'monitor_role', 'reader_role'), role))
    with Store(owner) as store:
        store.write([message('read', 'export.project')])
    with started(Standby(postgres)) as standby:
        url = standby.url_of(database)
        with TrackedTasks(url) as tracked:
            assert states(tracked) == {'read': 'PENDING'}
        assert 'export.project' in create_app(url).test_client().get('/tasks').text
        broker = MemoryBroker()
        app = Celery('standby', set_as_current=False)
        app.config_from_object(Config(QUEUES=['export'], **{**broker.settings, 'result_backend': f'db+{url}'}))
        tasks = {finding.check: finding for finding in check_tasks(app, url)}
        results = {finding.check: finding for finding in check_results(app, True, True)}
        assert tasks['its settings suit'].outcome.note.startswith('it is a standby, and takes nothing')
        assert results['its settings suit'].outcome.problems[0].seen == 'it is a standby, and takes nothing'
        backend: Any = app.backend
        monkeypatch.setattr(backend, 'pause', lambda seconds: tried.set())
        tried = threading.Event()
        request = Context(id='read', task='export.project', retries=0)
        storing = threading.Thread(
            target=backend.store_result, args=('read', 7, 'SUCCESS'), kwargs={'request': request}
        )
        app.send_task('export.project', task_id='stored')
        monitor = Monitor(app, url)
        monitoring = threading.Thread(target=monitor.run)
        for thread in (storing, monitoring):
            thread.start()
        assert tried.wait(PATIENCE)
        wait_until(lambda: 'The database is a standby' in caplog.text, 'the monitor to say so')
        standby.promote()
        with TrackedTasks(url) as tracked:
            wait_until(lambda: states(tracked) == {'read': 'SUCCESS', 'stored': 'PENDING'}, 'both to be stored')
        monitor.stop()
        for thread in (storing, monitoring):
            thread.join(PATIENCE)
            assert not thread.is_alive()
        backend._engine.dispose()
        broker.close()
