"""Tasks that expire are tracked on RabbitMQ however late the monitor is, and their rows say what became of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadasta.workertoolbox.tracked import Filter, TrackedTask, TrackedTasks
from rig.monitor.databases import url_of
from rig.monitor.programs import Toolbox
from rig.servers.environment import clean_environment
from rig.servers.postgres import Postgres
from rig.servers.process import Processes, wait_until
from rig.servers.rabbitmq import RabbitMQ

from ..monitor.test_streams import make_app

PROJECT = """
from celery import Celery
from cadasta.workertoolbox.conf import Config

app = Celery('project')
app.config_from_object(Config(QUEUES=['export', 'msg'], database_create_tables_at_setup=False))


@app.task(name='export.project')
def project(): ...
"""


@pytest.fixture
def found(
    postgres: Postgres, rabbitmq_server: RabbitMQ, tmp_path: Path, processes: Processes
) -> Iterator[dict[str, TrackedTask]]:
    """The rows of a task that a worker found expired, of one that nobody took, and of one that ran in time.

    Each of them ended before the monitor started. The session, the worker and the database have other time zones.
    """
    database = postgres.create_database()
    postgres_zone = "ALTER DATABASE {} SET timezone TO 'Asia/Kathmandu'"
    database.execute(postgres_zone.format(database.name))
    with closing(rabbitmq_server.broker()) as broker:
        toolbox = Toolbox(tmp_path, processes, broker, url_of(database))
        assert toolbox.start('tables').wait() == 0
        (tmp_path / 'worker').mkdir()
        (tmp_path / 'worker' / 'service.py').write_text(PROJECT)
        app = make_app(broker)
        expires = datetime.now(UTC) + timedelta(seconds=1)
        ids = {
            'revoked': app.send_task('export.project', expires=expires).id,
            'nobody': app.send_task('msg.send', expires=expires).id,
            'ran': app.send_task('export.project', expires=3_600).id,
        }
        wait_until(lambda: datetime.now(UTC) > expires, 'the tasks to expire')
        environment = clean_environment(tmp_path / 'worker', **broker.environment, **database.environment)
        worker = [sys.executable, '-m', 'celery', '-A', 'service', 'worker', '-Q', 'export', '-c', '1', '-l', 'INFO']
        processes.start(worker, {**environment, 'TZ': 'America/Bogota'})
        wait_until(lambda: set(database.states()) == {ids['revoked'], ids['ran']}, 'the results')
        wait_until(lambda: database.states()[ids['ran']] == 'SUCCESS', 'the result')
        assert toolbox.start('monitor', '--once').wait() == 0
        with TrackedTasks(url_of(database)) as tracked:
            rows = {task.task_id: task for task in tracked.page(Filter(), 9)}
            assert len(rows) == 3
            assert {task.task_id for task in tracked.page(Filter(standing='expired'), 9)} == {
                ids['revoked'],
                ids['nobody'],
            }
            yield {name: rows[task_id] for name, task_id in ids.items()}


def test_what_became_of_tasks_that_expire(found: dict[str, TrackedTask]) -> None:
    assert {name: (task.status, task.standing) for name, task in found.items()} == {
        'revoked': ('REVOKED', 'expired'),
        'nobody': ('PENDING', 'expired'),
        'ran': ('SUCCESS', 'succeeded'),
    }
    ran = found['ran']
    assert ran.waited is not None
    assert ran.ran is not None
    assert ran.duration is not None
    assert ran.sent is not None
    assert ran.first_seen is not None
    # The monitor stored it after it had ended, and all times are right nevertheless.
    assert 0 < ran.waited < (ran.first_seen - ran.sent).total_seconds()
    assert ran.waited + ran.ran == pytest.approx(ran.duration.total_seconds(), abs=0.01)
