"""Everything works behind a PgBouncer that lends another session for each transaction, or says why it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import URL

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.database.pruning import Pruning, Retention
from cadasta.workertoolbox.database.upgrade import upgrade
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.mending.lost import Losses
from cadasta.workertoolbox.monitor.store import Store, Stored
from cadasta.workertoolbox.results.cancelling import Cancelling
from cadasta.workertoolbox.tracked.query import TrackedTasks
from cadasta.workertoolbox.ui.app import create_app
from rig.monitor.databases import url_of
from rig.servers.pgbouncer import PgBouncer
from rig.servers.postgres import ADMIN, ADMIN_PASSWORD, Database
from rig.servers.started import started

from ..monitor.messages import message

pytestmark = pytest.mark.process


@pytest.fixture
def url(database: Database) -> Iterator[str]:
    """The URL of a database behind PgBouncer."""
    with started(PgBouncer(database)) as server:
        made = URL.create('postgresql+psycopg2', ADMIN, ADMIN_PASSWORD, '127.0.0.1', server.port, database.name)
        yield made.render_as_string(hide_password=False)


def test_all_works(url: str, database: Database) -> None:
    """Each transaction gets another session than the one before."""
    for name, value in {'timezone': 'Asia/Tokyo', 'synchronous_commit': 'on'}.items():
        database.execute(f"ALTER DATABASE {database.name} SET {name} = '{value}'")
    upgrade(url, worker_role=database.role)
    upgrade(url)
    app = Celery('pooled', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', QUEUES=['export']))
    with ExitStack() as stack:
        store = stack.enter_context(Store(url))
        tracked = stack.enter_context(TrackedTasks(url))
        cancelling = stack.enter_context(Cancelling(url))
        pruning = stack.enter_context(Pruning(url))
        losses = stack.enter_context(Losses(app, url))
        busy = [stack.enter_context(sa.create_engine(url, poolclass=sa.NullPool).connect()) for _ in range(2)]
        sessions = set()
        for number in range(4):
            # One of the two sessions is in a transaction, and not always the same.
            busy[number % 2].execute(sa.text('SELECT 1'))
            sessions.add(busy[number % 2].scalar(sa.text('SELECT pg_backend_pid()')))
            assert store.write([message(f'{number}', 'export.project')]) == Stored(1, 0)
            store.tell(0.0)
            (task,) = tracked.find([f'{number}'])
            assert (task.task_id, task.standing) == (f'{number}', 'queued')
            busy[1 - number % 2].rollback()
        busy[1].rollback()
        assert cancelling.cancel(['0']) == {'0'}
        assert list(losses.suspects(losses.gather())) == []
        assert pruning.prune(Retention(timedelta(days=-1), None, True)).tasks == 4
    assert create_app(url).test_client().get('/').status_code == 200


def test_a_monitor_that_may_lose_what_it_has_acknowledged(url: str, database: Database) -> None:
    """It switches something on for its session, and would have another one afterwards."""
    upgrade(url)
    with pytest.raises(NotUsable, match='Let the monitor connect to PostgreSQL directly, or run: ALTER ROLE'):
        Store(url).__enter__()
    with Store(url_of(database)) as store:
        assert store.write([message('1')]) == Stored(1, 0)
    database.execute(f'ALTER ROLE {ADMIN} IN DATABASE {database.name} SET synchronous_commit = on')
    # PgBouncer keeps sessions that began before.
    database.execute(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()',
        database.name,
    )
    with Store(url) as store:
        assert store.write([message('1')]) == Stored(1, 0)
