"""Rows that wait in an outbox are found while no relay publishes them, and not when one does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from celery import Celery

from cadasta.workertoolbox.alarms import Limits, State, judge_platform, judging
from cadasta.workertoolbox.database.tables import monitors
from cadasta.workertoolbox.database.upgrade import upgrade, upgrade_outbox
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.tracked.readings import Readings
from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.databases import TaskDatabase, url_of
from rig.monitor.programs import Toolbox
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes, wait_until

from ..commands.running import run
from ..metrics.scraping import samples
from ..relay.conftest import Make, Shop, app, fresh_connections, make, shop, url
from .test_judging import ago

__all__ = ['Make', 'app', 'fresh_connections', 'make', 'shop', 'url']

LIMITS = Limits(60, 600)
_VARYING = re.compile(r' of \S+(?=[,:] )|(?<= min) \d+ s')
memory = pytest.mark.parametrize('broker', ['memory'], indirect=True)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, 'PAUSES', (0.1, 0.1))


@pytest.fixture
def platform(tmp_path: Path) -> TaskDatabase:
    """The database of a platform whose monitor is at work."""
    made = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    row = {'boot': 'm', 'host': 'here', 'pid': 1, 'version': '1', 'first_seen': ago(9), 'last_seen': ago(1)}
    made.execute(monitors.insert().values({**row, 'caught_up': ago(1)}))
    return made


@pytest.fixture
def texts(app: Celery, platform: TaskDatabase, shop: Shop) -> Callable[[], list[str]]:
    """Judges the platform, and says what is wrong with the outbox."""

    def texts() -> list[str]:
        verdict = judge_platform(app, platform.url, LIMITS, [shop.url])
        found = [problem for problem in verdict.problems if 'outbox' in problem.text]
        return [f'{problem.state.name} {_VARYING.sub("", problem.text)}' for problem in found]

    return texts


def age(shop: Shop, seconds: float) -> None:
    """Lets all rows be written so long ago."""
    with shop.engine.begin() as connection:
        connection.execute(sa.text('UPDATE celery_outbox SET written = :written'), {'written': ago(seconds)})


@memory
def test_no_relay_is_running(app: Celery, shop: Shop, texts: Callable[[], list[str]]) -> None:
    assert texts() == []
    shop.order(app, 'a', 'b')
    assert texts() == []
    age(shop, 65)
    waits = 'messages waiting in the outbox, and no relay has published the first of them for'
    assert texts() == [f'WARNING 2 {waits} 1 min']
    age(shop, 700)
    assert texts() == [f'CRITICAL 2 {waits} 11 min']
    shop.relay(app)
    assert texts() == []


@memory
def test_a_relay_comes_while_somebody_looks(
    app: Celery, shop: Shop, texts: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction may have written its rows long before it was committed."""
    shop.order(app, 'a')
    age(shop, 700)
    pauses = iter([lambda: None, lambda: shop.relay(app)])
    monkeypatch.setattr(judging.time, 'sleep', lambda _: next(pauses)())
    assert texts() == []


@memory
def test_a_message_that_can_never_be_published(app: Celery, shop: Shop, texts: Callable[[], list[str]]) -> None:
    shop.order(app, 'a')
    shop.set('a', 'routing_key', 'nowhere')
    age(shop, 700)
    shop.relay(app)
    assert texts() == ['WARNING 1 message kept aside in the outbox: the reason is in the table']


@memory
def test_the_outbox_of_the_platform(app: Celery, platform: TaskDatabase) -> None:
    client = create_app(platform.url).test_client()
    assert 'toolbox_outbox_messages' not in samples(client.get('/metrics').text)
    assert 'outbox' not in judge_platform(app, platform.url, LIMITS).summary
    name = platform.engine.url.database
    shop = Shop(platform.url)
    assert judge_platform(app, platform.url, LIMITS).summary.endswith(f'outbox of {name} 0')
    shop.order(app, 'a', 'b')
    shop.set('b', 'reason', 'too large')
    age(shop, 700)
    verdict = judge_platform(app, platform.url, LIMITS)
    assert verdict.state is State.CRITICAL
    assert (verdict.numbers[f'outbox {name}'][-7:], verdict.numbers[f'kept {name}']) == (';60;600', '1')
    found = samples(client.get('/metrics').text)
    assert (found['toolbox_outbox_messages'], found['toolbox_outbox_kept']) == (1, 1)
    assert 699 < found['toolbox_outbox_oldest_seconds'] < 900


@memory
def test_an_outbox_that_is_named_must_be_there(app: Celery, platform: TaskDatabase) -> None:
    options = {'TOOLBOX_DATABASE': platform.url, 'TOOLBOX_OUTBOX_DATABASE': platform.url}
    result = run(app, 'check', '--platform', **options)
    missing = "UNKNOWN: The database has no table 'celery_outbox': run `celery toolbox tables --outbox` first"
    assert (result.exit_code, result.stdout.strip()) == (3, missing)


@memory
def test_rights(app: Celery, database: Database, platform: TaskDatabase) -> None:
    """A reader of the platform needs rights on an outbox beside it. A relay has them."""
    reader, relay = (f'{database.name}_{kind}' for kind in ('reader', 'relay'))
    upgrade(url_of(database), reader_role=reader)
    upgrade_outbox(url_of(database), relay_role=relay)
    for role in (reader, relay):
        database.execute(f"GRANT CONNECT ON DATABASE {database.name} TO {role}; ALTER ROLE {role} PASSWORD 'x'")
    with Readings(url_of(database, reader, 'x')) as readings:
        assert readings.unpublished() is None
        with pytest.raises(NotUsable, match='refuses to look at the outbox: permission denied'):
            judge_platform(app, platform.url, LIMITS, [url_of(database, reader, 'x')])
        database.execute(f'GRANT SELECT (id, transaction_id, written, reason) ON celery_outbox TO {reader}')
        assert readings.unpublished() == (0, 0, 0)
    assert 'outbox' in judge_platform(app, platform.url, LIMITS, [url_of(database, relay, 'x')]).summary


@pytest.mark.process
@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_processes(
    broker: Broker, app: Celery, database: Database, processes: Processes, tmp_path: Path, platform: TaskDatabase
) -> None:
    shop = Shop(url_of(database))
    toolbox = Toolbox(tmp_path, processes, broker, platform.url)

    def check() -> list[dict[str, str]]:
        process = toolbox.start('check', '--platform', '--json', '--outbox-database', shop.url)
        process.wait()
        problems: list[dict[str, str]] = json.loads(process.log)['problems']
        return [problem for problem in problems if 'outbox' in problem['text']]

    shop.order(app, 'a')
    age(shop, 700)
    (problem,) = check()
    assert problem['state'] == 'CRITICAL'
    toolbox.start('relay', TOOLBOX_DATABASE=shop.url)
    wait_until(lambda: not shop.left(), 'the relay to publish it')
    assert check() == []
