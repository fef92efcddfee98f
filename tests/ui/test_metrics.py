"""`/metrics` and `/healthz` of the page say how the platform is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from cadasta.workertoolbox.database.tables import monitors, rejected, workers
from cadasta.workertoolbox.tracked.ended import EndedTask
from cadasta.workertoolbox.tracked.readings import Readings
from cadasta.workertoolbox.ui import ended, metrics
from cadasta.workertoolbox.ui.app import create_app
from cadasta.workertoolbox.ui.ended import EndedTasks
from rig.monitor.databases import TaskDatabase
from rig.servers.process import free_port
from rig.servers.prometheus import judge

from ..metrics.scraping import samples
from ..tracked.plans import explained
from .seed import HOSTILE, NOW, Seed


@pytest.fixture
def client(tasks: TaskDatabase) -> FlaskClient:
    return create_app(tasks.url).test_client()


@pytest.fixture
def seed(tasks: TaskDatabase) -> Seed:
    return Seed(tasks.url)


def now() -> datetime:
    return datetime.now(UTC)


def scrape(client: FlaskClient) -> dict[str, float]:
    response = client.get('/metrics')
    assert response.status_code == 200, response.text
    return samples(response.text)


def insert(seed: Seed, table: sa.Table, **values: Any) -> None:
    with seed.engine.begin() as connection:
        connection.execute(sa.insert(table).values(first_seen=now(), **{'last_seen': now(), **values}))


def report(seed: Seed, boot: str, *queues: str, **values: Any) -> None:
    """Stores the report of a worker."""
    numbers = dict.fromkeys(('pid', 'concurrency', 'active', 'held', 'done', 'number'), 1)
    insert(seed, workers, boot=boot, name=boot, host='h', queues=queues, pool='solo', versions={}, **numbers, **values)


def end(seed: Seed, task_id: str, state: str = 'SUCCESS', age: float = 10, **columns: Any) -> None:
    """Stores a task that ended so many seconds ago, ran for 7 seconds, and had waited for 40."""
    done = now() - timedelta(seconds=age)
    result = {name: columns.pop(name) for name in ('result', 'runs') if name in columns}
    seed.task(task_id, sent=done - timedelta(seconds=47), **columns)
    seed.result(task_id, state, done, started=done - timedelta(seconds=7), **result)


def test_the_platform(client: FlaskClient, seed: Seed) -> None:
    assert 'toolbox_lag_seconds' not in scrape(client)
    insert(seed, monitors, boot='m', host='h', pid=1, version='1', caught_up=now() - timedelta(seconds=30))
    insert(seed, monitors, boot='gone', host='h', pid=1, version='1', last_seen=now() - timedelta(minutes=5))
    insert(seed, monitors, boot='ended', host='h', pid=1, version='1', ended=now())
    insert(seed, rejected, digest='d', reason='r', message=b'')
    report(seed, 'a', 'export.fifo', 'msg')
    report(seed, 'b', 'export.fifo')
    report(seed, 'c', 'old', ended=now())
    report(seed, 'd', 'old', last_seen=now() - timedelta(minutes=9))
    report(seed, 'e', ended=now())
    seed.task('lost', 'STARTED', 600, started=now() - timedelta(minutes=9), lease=now() - timedelta(minutes=8))
    seed.task('started', 'SUCCESS', started=now() - timedelta(seconds=20), age=40, took=22)
    seed.task('queued-1', age=30)
    seed.task('queued-2', age=10)
    seed.task('in-msg', age=500, routing_key='msg')
    found = scrape(client)
    stuck = {key: found[f'toolbox_queue_stuck_seconds queue={key}'] for key in ('export', 'msg', 'old')}
    # The seed counts ages from when the tests began.
    since = (now() - NOW).total_seconds()
    assert 18 <= stuck['export'] < 300 <= stuck['msg'] < 900 + since
    assert stuck['old'] == 0
    assert 30 <= found['toolbox_lag_seconds'] < 300
    expected = {
        'toolbox_monitors': 1,
        'toolbox_messages_rejected': 1,
        'toolbox_tasks_lost': 1,
        'toolbox_workers standing=alive': 2,
        'toolbox_workers standing=silent': 1,
        'toolbox_queue_consumers queue=export': 2,
        'toolbox_queue_consumers queue=msg': 1,
        'toolbox_queue_consumers queue=old': 0,
        'toolbox_queue_tasks queue=export': 2,
        'toolbox_queue_tasks queue=msg': 1,
        'toolbox_queue_tasks queue=old': 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert sum(name.startswith('toolbox_info ') for name in found) == 1


@pytest.mark.parametrize('tasks', ['sqlite'], indirect=True)
def test_so_many_tasks_are_looked_at(client: FlaskClient, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    """All queues share them."""
    monkeypatch.setattr(metrics, '_TASKS', 4)
    report(seed, 'a', 'export', 'msg')
    for number in range(3):
        seed.task(str(number))
    assert scrape(client)['toolbox_queue_tasks queue=export'] == 2


def ended_tasks(found: dict[str, float], name: str = 'export.project') -> dict[str, float]:
    """How many tasks of a name ended, by standing."""
    beginning = f'toolbox_tasks_ended_total name={name} standing='
    return {key.removeprefix(beginning): value for key, value in found.items() if key.startswith(beginning)}


@pytest.fixture
def settle(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets results count that are so old as those of `end`."""
    return lambda: monkeypatch.setattr(ended, 'SETTLED', timedelta(seconds=5))


def test_tasks_that_end(client: FlaskClient, seed: Seed, settle: Callable[[], None]) -> None:
    nothing = dict.fromkeys(('succeeded', 'failed', 'cancelled', 'expired'), 0)
    end(seed, 'long-ago', age=3600)
    # A name that is known begins with 0: Prometheus does not count what a series begins with.
    assert ended_tasks(scrape(client)) == nothing
    end(seed, '1')
    end(seed, '2')
    end(seed, '3', 'FAILURE', runs=1)
    end(seed, '4', 'REVOKED', result=b'{"exc_message": ["terminated"]}')
    end(seed, '5', 'REVOKED', result=b'{"exc_message": ["expired"]}')
    seed.task('6', 'STARTED', took=-10)
    seed.task('7', 'RETRY', took=-10)
    seed.result('of-nobody', 'SUCCESS', now() - timedelta(seconds=10))
    assert ended_tasks(scrape(client)) == nothing
    settle()
    for _ in range(2):
        found = scrape(client)
        assert ended_tasks(found) == {'succeeded': 2, 'failed': 1, 'cancelled': 1, 'expired': 1}
        assert ended_tasks(found, 'other') == {**nothing, 'succeeded': 1}
        assert found['toolbox_task_ran_seconds_count name=export.project'] == 3
        assert found['toolbox_task_ran_seconds_sum name=export.project'] == pytest.approx(21, abs=0.1)
        assert found['toolbox_task_ran_seconds_bucket le=5.0 name=export.project'] == 0
        assert found['toolbox_task_ran_seconds_bucket le=10.0 name=export.project'] == 3
        assert found['toolbox_task_waited_seconds_count name=export.project'] == 5
        assert found['toolbox_task_waited_seconds_bucket le=60.0 name=export.project'] == 5


@pytest.mark.parametrize('tasks', ['sqlite'], indirect=True)
def test_names_that_strangers_send(
    client: FlaskClient, seed: Seed, settle: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, 'NAMES', 2)
    end(seed, 'known')
    scrape(client)
    names = [HOSTILE, 'b', 'c', 'export.project', 'x' * 201]
    for name in names:
        end(seed, f'of-{name[:9]}', name=name)
    settle()
    response = client.get('/metrics')
    found = samples(response.text)
    assert {name: ended_tasks(found, name)['succeeded'] for name in (HOSTILE, 'export.project', 'other')} == {
        HOSTILE: 1,
        'export.project': 2,
        'other': 3,
    }
    assert 'xxx' not in response.text


@pytest.mark.process
@pytest.mark.parametrize('tasks', ['sqlite'], indirect=True)
def test_promtool_takes_the_metrics(client: FlaskClient, seed: Seed) -> None:
    seed.hostile()
    report(seed, 'a', HOSTILE)
    insert(seed, monitors, boot='m', host='h', pid=1, version='1', caught_up=now())
    text = client.get('/metrics').data
    assert f'queue="{HOSTILE[:7]}'.encode() in text
    assert judge('check', 'metrics', text=text) == ''


@pytest.mark.parametrize('tasks', ['sqlite'], indirect=True)
def test_many_at_once(
    client: FlaskClient, seed: Seed, settle: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look reads a bounded number of tasks, and the next one goes on."""
    monkeypatch.setattr(ended, 'MOST', 2)
    scrape(client)
    for number in range(5):
        end(seed, str(number), age=10 + 3 * number)
    settle()
    counted = [sum(ended_tasks(scrape(client)).values()) for _ in range(5)]
    assert counted[0] < 5
    assert counted[-2:] == [5, 5]


@pytest.mark.parametrize('tasks', ['sqlite'], indirect=True)
def test_two_scrapes_at_once(client: FlaskClient, seed: Seed, settle: Callable[[], None]) -> None:
    seen: EndedTasks = client.application.extensions['probes']
    scrape(client)
    end(seed, '1')
    settle()
    with seen._lock:
        assert sum(ended_tasks(scrape(client)).values()) == 0
    assert sum(ended_tasks(scrape(client)).values()) == 1


class Past:
    """A database in which nothing ended. It notes for how many seconds it was asked."""

    def __init__(self) -> None:
        self.time = NOW
        self.asked: list[float] = []

    def now(self) -> datetime:
        return self.time

    def recent_names(self) -> list[str]:
        return []

    def ended(self, after: datetime, until: datetime, most: int) -> list[EndedTask]:
        self.asked.append((until - after).total_seconds())
        return []


def test_a_look_after_a_long_time() -> None:
    """It asks for twice as long a time each time, and for none twice."""
    seen, past = EndedTasks(), Past()
    for _ in range(2):
        seen.look(past)  # type: ignore[arg-type]  # a stand-in for the database
        past.time += timedelta(hours=1)
    seen.look(past)  # type: ignore[arg-type]  # a stand-in for the database
    assert past.asked == 2 * [60, 120, 240, 480, 960, 1740]


def test_what_ended_is_found_by_an_index(postgresql: TaskDatabase) -> None:
    with explained(postgresql, Readings) as (readings, plans):
        plans.clear()
        assert readings.ended(now() - timedelta(minutes=1), now(), 9) == []
    assert 'ix_celery_taskmeta_date_done' in plans[-1]
    assert 'Seq Scan' not in plans[-1]


@pytest.mark.process
@pytest.mark.parametrize('path', ['/healthz', '/metrics'])
@pytest.mark.parametrize(
    ('url', 'reason'),
    [
        ('postgresql://ada:hush@127.0.0.1:{port}/x', 'Connection refused'),
        ('sqlite:///{path}/empty.db', 'run `celery toolbox tables` first'),
    ],
)
def test_without_a_database(tmp_path: Path, url: str, reason: str, path: str) -> None:
    response = create_app(url.format(port=free_port(), path=tmp_path)).test_client().get(path)
    assert (response.status_code, response.mimetype) == (503, 'text/plain')
    assert response.text.startswith('The database cannot be read: ')
    assert reason in response.text
    assert 'hush' not in response.text


@pytest.mark.parametrize('tasks', ['sqlite'], indirect=True)
def test_health(client: FlaskClient, seed: Seed) -> None:
    assert (client.get('/healthz').status_code, client.get('/healthz').text) == (200, 'ok\n')
    for path in ('/healthz', '/metrics'):
        assert client.get(path, headers={'Host': 'rebound.example'}).status_code == 400
