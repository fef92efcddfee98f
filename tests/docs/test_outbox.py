"""A program sends tasks with its transactions, as the how-to shows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadasta.workertoolbox.database.upgrade import upgrade
from rig.monitor.databases import url_of
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.environment import clean_environment
from rig.servers.filesystem import FilesystemBroker
from rig.servers.postgres import Database
from rig.servers.process import Processes

from .manual import Manual
from .service import variables
from .terminal import Terminal

pytestmark = pytest.mark.slow

(PAGE,) = PAGES = ['howto/outbox']

POST = 'import asyncio; from shop.web import post; print(asyncio.run(post("bridge")))'


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FilesystemBroker]:
    broker = FilesystemBroker(tmp_path)
    yield broker
    broker.close()


def test_a_shop(
    manual: Manual, database: Database, broker: FilesystemBroker, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / 'shop').mkdir()
    for block in manual.blocks(PAGE, 'python'):
        (tmp_path / block.caption).write_text(f'{block.text}\n')
    (environment,) = (block for block in manual.blocks(PAGE, 'sh'))
    assert variables(environment.text).keys() == {'TOOLBOX_DATABASE'}
    database.execute('CREATE TABLE orders (project text)')
    url = url_of(database)
    terminal = Terminal(
        processes,
        clean_environment(
            tmp_path,
            **broker.environment,
            TOOLBOX_DATABASE=url,
            DATABASE_URL=url,
            ASYNC_DATABASE_URL=url.replace('psycopg2', 'asyncpg'),
        ),
        tmp_path,
    )
    # The page shows roles by example, which all databases of the server would share.
    console, alarm = manual.blocks(PAGE, 'console')
    terminal.follow(console)
    assert len(broker.drain('export')) == len(broker.drain(PLATFORM_QUEUE)) == 1
    terminal.run(f"{sys.executable} -c '{POST}'")
    terminal.run(f'{sys.executable} -m pytest -q test_orders.py')
    assert database.execute('SELECT project FROM orders') == [('harbour',), ('bridge',)]
    upgrade(f'sqlite:///{tmp_path}/tasks.db')
    ((check, _),) = alarm.commands
    *command, example = check.split()
    assert variables(environment.text)['TOOLBOX_DATABASE'].partition('@')[2] == example.partition('@')[2]
    seen = terminal.run(f'TOOLBOX_DATABASE=sqlite:///tasks.db {" ".join(command)} {url} --warn 0 || true')
    assert '1 message waiting in the outbox of ' in seen
    kept, mended, grant = (block.text.replace('%', '%%') for block in manual.blocks(PAGE, 'postgresql'))
    database.execute(grant.replace('reader', 'CURRENT_USER'))
    database.execute("UPDATE celery_outbox SET reason = 'no work queue serves its routing key', refused = now()")
    assert len(database.execute(kept)) == 1
    database.execute(mended)
    assert database.execute(kept) == []
    terminal.run('celery -A shop.orders toolbox relay --once')
    assert len(broker.drain('export')) == 1
