"""Results with a worker's role: what it may do is enough, it may do no more, and an outage loses nothing."""

from __future__ import annotations

import psycopg2
import pytest
import sqlalchemy
from psycopg2.errors import InsufficientPrivilege

from cadasta.workertoolbox.conf import Config
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.postgres import Database, Postgres
from rig.servers.process import Processes, wait_until
from rig.workers.outage import finish_in_outage
from rig.workers.services import Services

# Whatever a password may hold, in a URL too.
PASSWORD = 'p@ss:w/rd%?#&+ é'

OUTAGE_SECONDS = 20
#: `benchmarks.losses` has 50.
TASKS = 10


def backend_url(database: Database, **changes: str) -> str:
    """Gives the address to which a Config of this database sends results."""
    return Config(**{**database.environment, **changes})['result_backend'].removeprefix('db+')


def test_url_of_the_results_database(postgres: Postgres) -> None:
    database = postgres.create_database(PASSWORD)
    engine = sqlalchemy.create_engine(backend_url(database))
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text('SELECT current_user, current_database()')).one() == (
            database.role,
            database.name,
        )
        assert connection.execute(sqlalchemy.text('SELECT count(*) FROM celery_taskmeta')).scalar() == 0
    engine.dispose()


def test_the_password_is_asked_for(postgres: Postgres) -> None:
    database = postgres.create_database(PASSWORD)
    engine = sqlalchemy.create_engine(backend_url(database, RESULT_DB_PASS='p@ss'))
    with pytest.raises(sqlalchemy.exc.OperationalError, match='password authentication failed'):
        engine.connect()


@pytest.mark.parametrize(
    'statement',
    [
        'DELETE FROM celery_taskmeta',
        'TRUNCATE celery_taskmeta',
        'DROP TABLE celery_taskmeta',
        'ALTER TABLE celery_taskmeta ADD COLUMN more text',
        'CREATE INDEX ON celery_taskmeta (status)',
        "SELECT setval('task_id_sequence', 1)",
        'SELECT * FROM celery_tasksetmeta',
        "INSERT INTO celery_tasksetmeta (id, taskset_id) VALUES (1, 'x')",
        'CREATE TABLE mine (id integer)',
        'CREATE TEMPORARY TABLE mine (id integer)',
        'CREATE SCHEMA mine',
        'CREATE ROLE mine',
        'SELECT * FROM pg_authid',
    ],
)
def test_statements_that_the_role_is_refused(role_database: Database, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        role_database.execute_as_worker(statement)


@pytest.fixture(scope='module')
def role_database(postgres: Postgres) -> Database:
    return postgres.create_database()


def test_database_of_another_worker_is_closed(postgres: Postgres, role_database: Database) -> None:
    other = postgres.create_database()
    with (
        pytest.raises(psycopg2.OperationalError, match='permission denied for database'),
        postgres.connect(other.name, role_database.role, role_database.password),
    ):
        pass


@pytest.mark.parametrize('broker', ['filesystem'], indirect=True)
def test_producer_needs_no_database(broker: Broker, postgres: Postgres, processes: Processes) -> None:
    """A web app goes on sending tasks while the results database is away."""
    database = postgres.create_database()
    services = Services(broker, database, processes)
    postgres.stop()
    try:
        services.produce('export', 'flood', '200')
    finally:
        postgres.start()
    assert broker.count('export') == broker.count(PLATFORM_QUEUE) == 200


@pytest.mark.slow
@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_database_outage(broker: Broker, database: Database, processes: Processes) -> None:
    """PostgreSQL is stopped for 20 seconds in which all tasks finish."""
    services = Services(broker, database, processes)
    worker = finish_in_outage(services, TASKS, OUTAGE_SECONDS)
    wait_until(lambda: 'STARTED' not in database.states().values(), 'all results to be stored')
    assert list(database.states().values()) == ['SUCCESS'] * TASKS
    assert worker.stop() == 0
    assert database.states().keys() == {message.id for message in services.published()}
    assert services.ran() == services.published()
