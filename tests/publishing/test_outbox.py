"""An outbox has the tasks of a transaction: all of them if it is committed, and none if it is not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from celery import Celery, chain, chord, group
from celery.local import Proxy
from celery.signals import before_task_publish
from django.conf import settings as django_settings
from django.db import transaction
from django.db.utils import ConnectionHandler
from kombu.exceptions import EncodeError
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from cadasta.workertoolbox import BadOutbox, BadTaskId, NotConfigured, Relay, batch, outbox, upgrade_outbox
from cadasta.workertoolbox.publishing import outboxes
from rig.monitor.databases import url_of
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.environment import clean_environment
from rig.servers.postgres import Database
from rig.servers.process import Processes

from .conftest import Make
from .test_collecting import OPTIONS, ids, memory, parts_of_both, send


@pytest.fixture(params=['postgresql', 'sqlite'])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with an outbox: PostgreSQL, then SQLite."""
    if request.param == 'sqlite':
        url = f'sqlite:///{tmp_path}/shop.db'
        upgrade_outbox(url)
        return url
    url = url_of(request.getfixturevalue('database'))
    upgrade_outbox(url)
    return url


sqlite = pytest.mark.parametrize('url', ['sqlite'], indirect=True)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def rows(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.text('SELECT task_id FROM celery_outbox ORDER BY id')))


def relay(app: Celery, engine: sa.Engine) -> None:
    Relay(app, engine.url.render_as_string(hide_password=False), once=True).run()


@memory
def test_what_is_committed_is_published(app: Celery, broker: Broker, engine: sa.Engine) -> None:
    with engine.begin() as connection, outbox(app, connection):
        expected = [app.send_task('export.project', (number,)).id for number in range(3)]
        assert rows(engine) == []
    assert rows(engine) == expected
    assert broker.count(PLATFORM_QUEUE) == 0
    relay(app, engine)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == expected
    assert rows(engine) == []


@memory
def test_what_is_rolled_back_is_not(app: Celery, engine: sa.Engine) -> None:
    with suppress(ValueError), engine.begin() as connection, outbox(app, connection):
        send(app, '1')
        raise ValueError
    with engine.connect() as connection, outbox(app, connection):
        send(app, '2')
    assert rows(engine) == []


@memory
@pytest.mark.parametrize('kind', [sessionmaker, lambda engine: scoped_session(sessionmaker(engine))])
def test_a_session_and_its_savepoints(app: Celery, engine: sa.Engine, kind: Any) -> None:
    session = kind(engine)()
    with outbox(app, session):
        send(app, '1')
        with suppress(ValueError), session.begin_nested():
            send(app, 'rolled back')
            raise ValueError
        with session.begin_nested():
            send(app, '2')
        session.commit()
        send(app, 'of the next transaction')
    session.close()
    assert rows(engine) == ['1', '2']


@memory
def test_a_proxy_of_a_session(app: Celery, engine: sa.Engine) -> None:
    registry = scoped_session(sessionmaker(engine))
    with registry.begin(), outbox(Proxy(lambda: app), registry):
        send(app, '1')
    assert rows(engine) == ['1']


@memory
@pytest.mark.parametrize(
    'options',
    [
        *OPTIONS,
        {'headers': {'nul': '\0', 'number': 1e300, 'zero': -0.0, 'at': datetime(2040, 1, 2), 'id_of': UUID(int=7)}},
        {'headers': {'price': Decimal('1.10'), 'lone': '\ud800'}},
    ],
)
def test_a_message_is_as_it_would_be_alone(app: Celery, engine: sa.Engine, options: dict[str, Any]) -> None:
    channel = app.pool.connection.clone().channel()
    messages = []
    for is_stored in (False, True):
        with ExitStack() as stack:
            if is_stored:
                stack.enter_context(outbox(app, stack.enter_context(engine.begin())))
            send(app, 'one', **options)
        if is_stored:
            relay(app, engine)
        messages += parts_of_both(channel, options)
    assert messages[:2] == messages[2:]
    assert repr(messages[:2]) == repr(messages[2:])


@memory
@sqlite
def test_canvases(app: Celery, broker: Broker, engine: sa.Engine) -> None:
    def signature(number: int) -> Any:
        return app.signature('export.project', (number,), app=app)

    total = app.signature('msg.total', app=app)
    with engine.begin() as connection, outbox(app, connection):
        chained = chain(signature(1), signature(2)).delay()
        grouped = group((signature(3), signature(4)), app=app).delay()
        joined = chord((signature(5), signature(6)), total, app=app).delay()
    relay(app, engine)
    tracked = broker.drain(PLATFORM_QUEUE)
    known = [chained.parent.id, *(result.id for result in (*grouped.results, *joined.parent.results))]
    assert [message.headers['id'] for message in tracked[:5]] == known
    assert [message.headers['task'] for message in tracked[5:]] == ['celery.chord_unlock']


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_the_broker_is_away(make: Make, broker: Broker, engine: sa.Engine) -> None:
    app = make(broker_url=broker.proxied_url)
    broker.refuse()
    with engine.begin() as connection, outbox(app, connection):
        send(app, '1')
        # The session of a web request has more to say than tasks.
        connection.execute(sa.text('CREATE TABLE orders (id int)'))
    broker.listen()
    relay(app, engine)
    assert ids(broker) == ids(broker, PLATFORM_QUEUE) == ['1']


@memory
@sqlite
def test_events_of_celery_are_dropped(make: Make, engine: sa.Engine) -> None:
    app = make(task_send_sent_event=True)
    with engine.begin() as connection, outbox(app, connection):
        send(app, '1')
    assert rows(engine) == ['1']


@memory
@sqlite
def test_what_cannot_be_written_is_an_error_of_the_call(app: Celery, engine: sa.Engine) -> None:
    with engine.begin() as connection, outbox(app, connection):
        send(app, '1')
        with pytest.raises(BadTaskId):
            send(app, 'L' * 156)
        with pytest.raises(EncodeError, match='The headers of a message in an outbox must be JSON: Object of type obj'):
            send(app, '2', headers={'unfit': object()})
        with pytest.raises(EncodeError):
            send(app, '3', args=(object(),))
    assert rows(engine) == ['1']


@memory
@sqlite
def test_an_outbox_that_ends_while_a_task_is_published(app: Celery, broker: Broker, engine: sa.Engine) -> None:
    """Another thread may run in the context of the outbox."""
    stack = ExitStack()

    def end(**_: Any) -> None:
        stack.close()

    connection = stack.enter_context(engine.begin())
    stack.enter_context(outbox(app, connection))
    before_task_publish.connect(end)
    try:
        send(app, '1')
    finally:
        before_task_publish.disconnect(end)
    assert rows(engine) == []
    assert ids(broker) == ['1']


@memory
@sqlite
def test_coroutines_that_go_on_after_the_block(app: Celery, broker: Broker, engine: sa.Engine) -> None:
    async def late(end: asyncio.Event) -> None:
        send(app, 'within')
        await end.wait()
        send(app, 'after')

    async def main() -> None:
        end = asyncio.Event()
        with engine.begin() as connection, outbox(app, connection):
            task = asyncio.create_task(late(end))
            await asyncio.sleep(0)
        end.set()
        await task

    asyncio.run(main())
    assert rows(engine) == ['within']
    assert ids(broker) == ['after']


@memory
def test_asyncio(make: Make, broker: Broker, database: Database) -> None:
    upgrade_outbox(url_of(database))
    app = make()
    engine = create_async_engine(url_of(database).replace('psycopg2', 'asyncpg'))

    def order(session: Session) -> str:
        with outbox(app, session):
            return app.send_task('export.project', (7,)).id

    async def main() -> list[str]:
        async with AsyncSession(engine) as session:
            async with session.begin():
                sent = await session.run_sync(order)
            await session.run_sync(order)
            with pytest.raises(BadOutbox, match=r'given an AsyncSession, and delay\(\) cannot await it.*run_sync'):
                outbox(app, session).__enter__()
        await engine.dispose()
        return [sent]

    assert asyncio.run(main()) == [task_id for (task_id,) in database.execute('SELECT task_id FROM celery_outbox')]


@memory
@sqlite
def test_bad_places(app: Celery, make: Make, broker: Broker, engine: sa.Engine) -> None:
    other = make()
    with engine.begin() as connection, outbox(app, connection):
        with pytest.raises(BadOutbox, match='An outbox within an outbox of the same app'):
            outbox(app, connection).__enter__()
        with pytest.raises(BadOutbox, match='A batch within an outbox of the same app'):
            batch(app).__enter__()
        with batch(other):
            send(other, 'of the batch')
            send(app, '1')
        assert ids(broker) == ['of the batch']
        with outbox(other, connection):
            send(other, '2')
    with batch(app), pytest.raises(BadOutbox, match='An outbox within a batch of the same app'):
        outbox(app, connection).__enter__()
    assert rows(engine) == ['1', '2']


@memory
def test_bad_sessions(app: Celery) -> None:
    for session, name in ((sa.create_engine('sqlite://'), 'Engine'), ('default', 'str'), (None, 'NoneType')):
        with pytest.raises(BadOutbox, match=f'given a {name}: give it a Session or a Connection of SQLAlchemy'):
            outbox(app, session).__enter__()
    with pytest.raises(NotConfigured, match="App 'plain' is not configured by a Config"):
        outbox(Celery('plain', set_as_current=False), None).__enter__()


@memory
def test_no_transaction(app: Celery, engine: sa.Engine) -> None:
    autocommit = engine.execution_options(isolation_level='AUTOCOMMIT')
    mode = pytest.raises(BadOutbox, match='is in AUTOCOMMIT mode, so nothing ties the task to a transaction')
    with autocommit.connect() as connection, outbox(app, connection), mode:
        send(app, '1')
    with Session(engine, autobegin=False) as session, outbox(app, session), pytest.raises(InvalidRequestError):
        send(app, '2')
    assert rows(engine) == []


@memory
@sqlite
def test_a_program_that_begins_its_transactions_itself(app: Celery, engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, 'connect')
    def leave(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    with engine.connect() as connection, outbox(app, connection):
        with pytest.raises(BadOutbox, match='AUTOCOMMIT'):
            send(app, '1')
        connection.exec_driver_sql('BEGIN')
        send(app, '2')
        connection.exec_driver_sql('COMMIT')
    assert rows(engine) == ['2']


@memory
def test_a_database_without_the_table(app: Celery, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text('DROP TABLE celery_outbox'))
    missing = pytest.raises(
        BadOutbox, match=r'has no table celery_outbox\. Make it there by `celery -A PROJECT toolbox'
    )
    with engine.connect() as connection, outbox(app, connection), missing:
        send(app, '1')
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE TABLE celery_outbox (id int)'))
    with engine.connect() as connection, outbox(app, connection), pytest.raises(DBAPIError):
        send(app, '1')


@memory
def test_another_kind_of_database(app: Celery) -> None:
    class MySQL:
        vendor, in_atomic_block = 'mysql', True

    with outbox(app, MySQL()), pytest.raises(BadOutbox, match=r'a database of mysql\. An outbox is in PostgreSQL or'):
        send(app, '1')


@memory
@sqlite
def test_another_exchange(app: Celery, engine: sa.Engine) -> None:
    elsewhere = pytest.raises(BadOutbox, match=r"Task 'export\.project' goes to another exchange than 'task_exchange'")
    with engine.begin() as connection, outbox(app, connection), app.producer_or_acquire() as producer, elsewhere:
        app.amqp.send_task_message(
            producer, 'export.project', app.amqp.as_task_v2('1', 'export.project'), exchange='x', routing_key='y'
        )
    assert rows(engine) == []


@contextmanager
def django(url: str) -> Iterator[Any]:
    """Connections of Django to a SQLite database."""
    if not django_settings.configured:
        django_settings.configure()
    handler = ConnectionHandler(
        {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': sa.make_url(url).database}}
    )
    connection = handler['default']
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(transaction, 'connections', handler)
        yield connection
    connection.close()


@memory
@sqlite
def test_django(app: Celery, engine: sa.Engine, url: str) -> None:
    with django(url) as connection, outbox(app, connection):
        with transaction.atomic():
            send(app, '1')
            with suppress(ValueError), transaction.atomic():
                send(app, 'rolled back')
                raise ValueError
            send(app, '2')
        with suppress(ValueError), transaction.atomic():
            send(app, 'rolled back, too')
            raise ValueError
        with pytest.raises(BadOutbox, match=r"'default' is in no transaction.* within transaction.atomic\(using='def"):
            send(app, '3')
        connection.set_autocommit(False)
        send(app, '4')
        connection.commit()
        connection.set_autocommit(True)
        assert rows(engine) == ['1', '2', '4']
        with transaction.atomic():
            connection.cursor().execute('DROP TABLE celery_outbox')
            with pytest.raises(BadOutbox, match='has no table celery_outbox'):
                send(app, '5')


FORK = """
import os, sys
import sqlalchemy
from celery import Celery
from cadasta.workertoolbox import BadOutbox, Config, outbox

app = Celery('export')
app.config_from_object(Config(QUEUES=['export'], broker_url='memory://', result_backend='db+sqlite://'))
with sqlalchemy.create_engine(sys.argv[1]).begin() as connection, outbox(app, connection):
    app.send_task('export.project', task_id='of the parent')
    child = os.fork()
    if not child:
        try:
            app.send_task('export.project', task_id='of the child')
        except BadOutbox as error:
            os._exit(7 if 'forked within an outbox' in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@sqlite
def test_a_forked_process_has_no_part_in_it(engine: sa.Engine, processes: Processes) -> None:
    program = processes.start([sys.executable, '-c', FORK, str(engine.url)], clean_environment())
    assert program.wait() == 0, program.log
    assert rows(engine) == ['of the parent']


@memory
@sqlite
def test_people_can_read_it(app: Celery, engine: sa.Engine) -> None:
    with engine.begin() as connection, outbox(app, connection):
        app.send_task('export.project', ('harbour',), task_id='1', priority=3)
    with engine.connect() as connection:
        row = connection.execute(sa.text('SELECT * FROM celery_outbox')).mappings().one()
    assert (row['name'], row['task_id'], row['routing_key'], row['reason']) == ('export.project', '1', 'export', None)
    assert json.loads(row['headers'])['argsrepr'] == "('harbour',)"
    assert json.loads(row['properties'])['priority'] == 3
    assert json.loads(row['body']) == [
        ['harbour'],
        {},
        {'callbacks': None, 'errbacks': None, 'chain': None, 'chord': None},
    ]


@memory
@sqlite
def test_a_child_of_the_process_has_no_part_in_the_transaction(
    app: Celery, make: Make, broker: Broker, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make()
    with engine.begin() as connection, outbox(app, connection):
        with batch(other):
            """From now on, it looks for a batch of its own when it publishes."""
        with monkeypatch.context() as patch:
            patch.setattr(outboxes, 'os', SimpleNamespace(getpid=lambda: 0))
            with pytest.raises(BadOutbox, match='This process was forked within an outbox'):
                app.send_task('export.project')
            other.send_task('export.project', task_id='of another app')
        app.send_task('export.project', task_id='1')
    assert rows(engine) == ['1']
    assert ids(broker) == ['of another app']
