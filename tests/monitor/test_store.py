"""A batch becomes rows, on PostgreSQL and on SQLite."""

from __future__ import annotations

import random
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from cadasta.workertoolbox.database.connection import engine
from cadasta.workertoolbox.database.faults import Fault, explained
from cadasta.workertoolbox.database.views import SCHEDULED_VIEW, VIEW
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.monitor import store as store_module
from cadasta.workertoolbox.monitor.message import Message, from_envelope
from cadasta.workertoolbox.monitor.sources.base import MAX_BATCH_BYTES
from cadasta.workertoolbox.monitor.store import Store, Stored
from rig.monitor.databases import TaskDatabase

from .messages import message


def write(tasks: TaskDatabase, *messages: Message) -> Stored:
    with Store(tasks.url) as store:
        return store.write(messages)


def test_a_row_holds_what_the_message_says(tasks: TaskDatabase) -> None:
    eta = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    before = datetime.now(UTC)
    assert write(
        tasks,
        message(
            '1',
            'export.project',
            7,
            'é',
            None,
            kwargs={'a': {'b': [1.5, True]}},
            root_id='0',
            parent_id='0',
            eta=eta,
            time_limit=20,
            properties={'priority': 5},
            headers={'tenant': 'Zürich'},
        ),
    ) == Stored(1, 0)
    row = tasks.tasks()['1']
    assert (row['args'], row['kwargs'], row['timelimit']) == ([7, 'é', None], {'a': {'b': [1.5, True]}}, [20, None])
    assert (row['root_id'], row['parent_id'], row['group_id'], row['routing_key']) == ('0', '0', None, 'export')
    assert (row['eta'], row['expires'], row['retries']) == (eta, None, 0)
    assert (row['options']['priority'], row['options']['tenant']) == (5, 'Zürich')
    assert before <= row['first_seen'] == row['last_seen'] <= datetime.now(UTC)


@pytest.mark.usefixtures('new_york')
def test_a_row_says_in_utc_when_its_task_was_seen(tasks: TaskDatabase) -> None:
    before = datetime.now(UTC)
    write(tasks, message('1'))
    assert before <= tasks.tasks()['1']['first_seen'] <= datetime.now(UTC)


def test_times_stay_times_beside_text_that_is_cleaned(tasks: TaskDatabase) -> None:
    eta, expires = datetime(2030, 1, 2, tzinfo=UTC), datetime(2030, 1, 3, tzinfo=UTC)
    assert write(tasks, message('1', 'export.project', 'a\0b', eta=eta, expires=expires)) == Stored(1, 0)
    row = tasks.tasks()['1']
    assert (row['args'], row['eta'], row['expires']) == (['a\ufffdb'], eta, expires)


def test_what_is_missing_is_null(tasks: TaskDatabase) -> None:
    item = message()
    write(tasks, item._replace(headers={'task': 'a', 'id': '1'}))
    assert tasks.execute('SELECT 1 FROM celery_task WHERE timelimit IS NULL AND root_id IS NULL AND eta IS NULL')


FIRST = message('1', 'a.b', 1)
RETRIED = message('1', 'a.b', 2, retries=2)
REPLACED = message('1', 'a.c', 3, replaced_task_nesting=1)


@pytest.mark.parametrize(
    'steps',
    [
        pytest.param(
            [
                ([FIRST], ('a.b', [1], 0)),
                ([RETRIED], ('a.b', [2], 2)),
                ([FIRST], ('a.b', [2], 2)),
                ([REPLACED], ('a.c', [3], 0)),
                ([RETRIED], ('a.c', [3], 0)),
                ([FIRST], ('a.c', [3], 0)),
            ],
            id='message by message',
        ),
        pytest.param(
            [
                ([FIRST, RETRIED, FIRST], ('a.b', [2], 2)),
                ([REPLACED, RETRIED, FIRST], ('a.c', [3], 0)),
                ([RETRIED, FIRST], ('a.c', [3], 0)),
            ],
            id='in batches',
        ),
    ],
)
def test_a_task_never_goes_backwards(
    tasks: TaskDatabase,
    steps: list[tuple[list[Message], tuple[str, list[int], int]]],
) -> None:
    for batch, expected in steps:
        write(tasks, *batch)
        row = tasks.tasks()['1']
        assert (row['name'], row['args'], row['retries']) == expected
    assert tasks.count() == 1


def test_an_older_copy_is_seen_and_changes_nothing_else(tasks: TaskDatabase) -> None:
    write(tasks, message('1', 'a.b', 2, retries=1))
    newer = tasks.tasks()['1']
    write(tasks, message('1', 'a.c', 1, retries=0))
    older = tasks.tasks()['1']
    assert older.pop('last_seen') > newer.pop('last_seen')
    assert older == newer


def test_the_same_message_again_changes_nothing_but_when_it_was_seen(tasks: TaskDatabase) -> None:
    item = message('1', 'a.b', 2, retries=1)
    write(tasks, item)
    once = tasks.tasks()['1']
    write(tasks, item, item)
    twice = tasks.tasks()['1']
    assert twice.pop('last_seen') > once.pop('last_seen')
    assert once == twice


def test_a_retry_updates_its_row(tasks: TaskDatabase) -> None:
    write(tasks, message('1', 'a.b', 1))
    write(tasks, message('1', 'a.b', 1, retries=1, eta=datetime(2030, 1, 1, tzinfo=UTC)))
    row = tasks.tasks()['1']
    assert (row['retries'], row['eta']) == (1, datetime(2030, 1, 1, tzinfo=UTC))


def test_messages_that_cannot_be_understood_are_kept_whole(
    tasks: TaskDatabase,
    caplog: pytest.LogCaptureFixture,
) -> None:
    garbage = from_envelope(1, b'\x00\xff')
    pickled = message('2', 'a.b', properties={'content_type': 'application/x-python-serialize'}, body=b'\x80\x04N.')
    assert write(tasks, garbage, message('1'), pickled, garbage) == Stored(1, 3)
    assert "Rejected a message: the body is 'application/x-python-serialize'" in caplog.messages[1]
    write(tasks, garbage)
    kept = {bytes(row['message']): row for row in tasks.rejected()}
    assert len(kept) == 2
    assert 'not base64' in kept[b'\x00\xff']['reason']
    assert kept[b'\x00\xff']['last_seen'] > kept[b'\x00\xff']['first_seen']
    del kept[b'\x00\xff']
    ((whole, row),) = kept.items()
    again = from_envelope('2', whole)
    assert (again.body, again.routing_key, again.properties) == (pickled.body, 'export', pickled.properties)
    assert (row['task_id'], row['name'], row['routing_key']) == ('2', 'a.b', 'export')
    assert 'application/x-python-serialize' in row['reason']


def test_a_rejected_row_has_storable_text(tasks: TaskDatabase) -> None:
    write(tasks, message('a\0b', 'c\ud800d'), message(headers={'id': ['x']}))
    assert {(row['task_id'], row['name']) for row in tasks.rejected()} == {
        ('a\ufffdb', 'c?d'),
        (None, 'export.project'),
    }


def test_what_amqp_can_say_and_json_cannot_is_text(tasks: TaskDatabase) -> None:
    odd = {'at': datetime(2030, 1, 2), 'raw': b'\xff', 'price': Decimal('1.5')}
    refused = message(headers={'id': 2, 'odd': {b'\xff': odd, 'x': 1}})
    assert write(tasks, message('1', headers=odd), refused) == Stored(1, 1)
    text = {'at': '2030-01-02T00:00:00', 'raw': '\\xff', 'price': '1.5'}
    assert text.items() <= tasks.tasks()['1']['options'].items()
    assert from_envelope(1, tasks.rejected()[0]['message']).headers['odd'] == {'\\xff': text, 'x': 1}


def test_sql_in_every_field_is_text(tasks: TaskDatabase) -> None:
    sql = """'); DROP TABLE celery_task; --\\"%s%(rows)s:rows$$"""
    write(
        tasks,
        message(
            sql,
            sql,
            sql,
            kwargs={sql: sql},
            root_id=sql,
            parent_id=sql,
            group_id=sql,
            origin=sql,
            shadow=sql,
            headers={sql: sql},
            properties={sql: {sql: sql}},
        )._replace(routing_key=sql),
        message(sql * 9, sql),
    )
    row = tasks.tasks()[sql]
    assert [row[name] for name in ('name', 'root_id', 'parent_id', 'group_id', 'origin', 'routing_key')] == 6 * [sql]
    assert (row['args'], row['kwargs'], row['options'][sql]) == ([sql], {sql: sql}, sql)
    assert tasks.rejected()[0]['task_id'] == sql * 9


def test_a_row_that_the_database_refuses_does_not_take_its_batch_along(postgresql: TaskDatabase) -> None:
    postgresql.execute("ALTER TABLE celery_task ADD CHECK (name <> 'bad')")
    names = ['good'] * 5 + ['bad'] + ['good'] * 7 + ['bad']
    assert write(postgresql, *(message(str(number), name) for number, name in enumerate(names))) == Stored(12, 2)
    assert {row['task_id'] for row in postgresql.rejected()} == {'5', '13'}
    assert 'the database refuses it' in postgresql.rejected()[0]['reason']
    assert postgresql.count() == 12


REFUSE = """
CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'not this'); END
"""


def test_what_is_stored_nowhere_is_an_error(tmp_path: Path) -> None:
    """The monitor would acknowledge it otherwise."""
    tasks = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    tasks.execute(REFUSE.format(table='celery_task'))
    messages = [message(str(number), 'bad' if number in (2, 6) else 'good') for number in range(9)]
    assert write(tasks, *messages) == Stored(7, 2)
    assert {row['task_id'] for row in tasks.rejected()} == {'2', '6'}
    tasks.execute(REFUSE.format(table='celery_task_rejected'))
    with pytest.raises(DBAPIError, match='not this'):
        write(tasks, message('10', 'bad'), message('11'))


@pytest.mark.parametrize(('fault', 'rows', 'sizes'), [(Fault.AWAY, 4, [4]), (Fault.SLOW, 1, [1])])
def test_what_is_not_tried_in_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, rows: int, sizes: list[int]
) -> None:
    """A database that is away stores no half of it, and a row has none."""
    seen: list[int] = []

    def execute(self: Store, statement: Any, parameters: Any = None) -> None:
        seen.append(len(parameters))
        raise OperationalError('INSERT', {}, Exception('no'))

    with Store(TaskDatabase(f'sqlite:///{tmp_path}/tasks.db').url) as store:
        monkeypatch.setattr(Store, '_execute', execute)
        monkeypatch.setattr(store_module, 'fault_of', lambda error: fault)
        with pytest.raises(OperationalError):
            store.write([message(str(number)) for number in range(rows)])
    assert seen == sizes


def test_what_is_past_a_limit_of_the_database_is_rejected(postgresql: TaskDatabase) -> None:
    postgresql.execute('CREATE INDEX ON celery_task (name)')
    name = ''.join(map(chr, random.Random(1).sample(range(0x4E00, 0x9F00), 9000)))
    assert write(postgresql, message('1'), message('2', name)) == Stored(1, 1)


def test_two_at_once(postgresql: TaskDatabase) -> None:
    """The same messages in different orders: neither blocks the other, and the latest retry wins."""
    messages = [message(str(number), retries=retries) for number in range(300) for retries in range(3)]
    failures: list[BaseException] = []

    def run(seed: int) -> None:
        shuffled = random.Random(seed).sample(messages, len(messages))
        try:
            with Store(postgresql.url) as store:
                for start in range(0, len(shuffled), 50):
                    store.write(shuffled[start : start + 50])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert {row['retries'] for row in postgresql.tasks().values()} == {2}
    assert postgresql.count() == 300


def test_a_batch_is_one_round_trip(postgresql: TaskDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = []
    with Store(postgresql.url) as store:
        store.write([message('0')])
        connection = store._connection
        sa.event.listen(connection, 'before_cursor_execute', lambda *args: statements.append(args[2]))
        store.write([message(str(number)) for number in range(100)])
        assert connection.connection.driver_connection.autocommit
    assert len(statements) == 1
    assert postgresql.count() == 100


def test_a_huge_batch_is_several_statements(postgresql: TaskDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, 'MAX_STATEMENT', 2000)
    statements = []
    with Store(postgresql.url) as store:
        sa.event.listen(store._connection, 'before_cursor_execute', lambda *args: statements.append(args[2]))
        messages = [message(str(number), retries=number % 2) for number in range(10)]
        assert store.write([from_envelope(1, b'\xff'), *messages]) == Stored(10, 1)
    assert 2 < len(statements) < 11
    assert (postgresql.count(), postgresql.count('celery_task_rejected')) == (10, 1)


def test_large_bodies_beside_others(tasks: TaskDatabase) -> None:
    large = b'[["%b"], {}, {}]' % (2**20 * b'x')
    bodies = [b'[[1], {}, {}]', large, b'[[2], {}, {}]', b'[[3], {}, {}]', large + b' ', b'[[4], {}, {}]']
    assert write(tasks, *(message(str(number), body=body) for number, body in enumerate(bodies))) == Stored(6, 0)
    assert [bytes(tasks.tasks()[str(number)]['body']) for number in range(6)] == bodies


def test_rejected_messages_are_stored_in_portions(tasks: TaskDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, 'MAX_STATEMENT', 2000)
    statements = []
    with Store(tasks.url) as store:
        sa.event.listen(store._connection, 'before_cursor_execute', lambda *args: statements.append(args[2]))
        assert store.write(from_envelope(1, f'{number}{"?" * 900}') for number in range(6)) == Stored(0, 6)
    assert len(statements) == 3
    assert tasks.count('celery_task_rejected') == 6


def test_messages_that_need_much_memory_are_stored_before_others_are_read(tasks: TaskDatabase) -> None:
    stored: list[int] = []

    def messages() -> Iterator[Message]:
        for number in range(3):
            stored.append(tasks.count('celery_task_rejected'))
            yield from_envelope(1, f'{number}?')._replace(memory=MAX_BATCH_BYTES)

    with Store(tasks.url) as store:
        assert store.write(messages()) == Stored(0, 3)
    assert stored == [0, 1, 2]


def test_the_database_is_away(postgresql: TaskDatabase) -> None:
    with Store(postgresql.url) as store:
        store.write([message('0')])
        postgresql.execute(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() '
            'AND datname = current_database()'
        )
        with pytest.raises(DBAPIError):
            store.write([message('1')])
    with Store(postgresql.url) as store:
        assert store.write([message('1')]) == Stored(1, 0)


# As statement_timeout does to what takes long, this cuts short a statement that has more than three rows.
CUT_SHORT = """
CREATE FUNCTION cut_short() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) > 3 FROM stored) THEN
        RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = 'query_canceled';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER cut_short AFTER INSERT ON {table} REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION cut_short();
"""


def test_a_batch_that_takes_too_long_is_split_until_it_fits(
    postgresql: TaskDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    for table in ('celery_task', 'celery_task_rejected'):
        postgresql.execute(CUT_SHORT.format(table=table).replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'))
    messages = [message(str(number)) for number in range(40)]
    garbage = [from_envelope(1, bytes([number, 255])) for number in range(10)]
    statements: list[str] = []
    with Store(postgresql.url) as store:
        sa.event.listen(store._connection, 'before_cursor_execute', lambda *args: statements.append(args[2]))
        assert store.write(messages) == Stored(40, 0)
        assert caplog.messages[0] == 'The database gives up a statement with 40 rows. The next has 20.'
        first = len(statements)
        # It has learned how much fits, and now and then tries a little more.
        assert store.write(messages) == Stored(40, 0)
        assert len(statements) - first < 40
        assert store.write(garbage) == Stored(0, 10)
    assert (postgresql.count(), postgresql.count('celery_task_rejected')) == (40, 10)


def test_a_row_that_takes_too_long(postgresql: TaskDatabase) -> None:
    write(postgresql, message('1'))
    with postgresql.engine.begin() as other:
        other.execute(sa.text('SELECT FROM celery_task FOR UPDATE'))
        with Store(f'{postgresql.url}?options=-c%20statement_timeout%3D100') as store:
            with pytest.raises(DBAPIError) as raised:
                store.write([message('1'), message('2')])
            assert 'Raise statement_timeout for the role' in explained(raised.value)
        with Store(f'{postgresql.url}?options=-c%20lock_timeout%3D100') as store:
            with pytest.raises(DBAPIError) as raised:
                store.write([message('1')])
            assert 'longer than lock_timeout' in explained(raised.value)


def test_what_cannot_even_be_kept_among_the_rejected(postgresql: TaskDatabase) -> None:
    postgresql.execute('ALTER TABLE celery_task_rejected ADD CHECK (length(message) < 5)')
    with pytest.raises(DBAPIError, match='violates check constraint'):
        write(postgresql, from_envelope(1, b'\x00\xff'), from_envelope(1, b'\x00\xff' * 5))
    assert postgresql.count('celery_task_rejected') == 1


@pytest.mark.parametrize(
    ('body', 'headers'),
    [
        (rb' [["a\u0000b \\ \"", -0.0, 1e300], {"z": 1, "a": 2}, {}]', {}),
        ('[["Zürich"], {}, {}]'.encode(), {}),
        (zlib.compress(b'[[7], {}, {}]'), {'compression': 'application/x-gzip'}),
        # A body of this size travels on its own.
        (rb'[["\\ \u0000 %b"], {}, {}]' % (2**20 * b'x'), {}),
    ],
)
def test_the_body_is_stored_as_it_was(tasks: TaskDatabase, body: bytes, headers: dict[str, str]) -> None:
    assert write(tasks, message(body=body, headers=headers)) == Stored(1, 0)
    assert bytes(tasks.tasks()['1']['body']) == body


def test_no_tables(tmp_path: object) -> None:
    with (
        pytest.raises(NotUsable, match="no table 'celery_task': run `celery toolbox tables`"),
        Store(f'sqlite:///{tmp_path}/empty.db'),
    ):
        pass


def test_a_table_of_version_1_0(tasks: TaskDatabase) -> None:
    for view in (VIEW, SCHEDULED_VIEW):
        tasks.execute(f'DROP VIEW {view}')
    for column in ('sent', 'resent'):
        tasks.execute(f'ALTER TABLE celery_task DROP COLUMN {column}')
    with (
        pytest.raises(NotUsable, match="'celery_task', without sent, resent: run `celery toolbox tables` first"),
        Store(tasks.url),
    ):
        raise AssertionError


def test_a_table_that_goes_away(tasks: TaskDatabase) -> None:
    with Store(tasks.url) as store:
        for view in (VIEW, SCHEDULED_VIEW):
            tasks.execute(f'DROP VIEW {view}')
        tasks.execute('DROP TABLE celery_task')
        with pytest.raises(NotUsable, match='celery_task'):
            store.write([message()])


@pytest.mark.parametrize(
    ('url', 'problem'),
    [
        ('mysql+pymysql://ada:hush@localhost/db', 'PostgreSQL or SQLite|not the URL'),
        ('hush', 'not the URL'),
        ('nosuch://ada:hush@localhost/db', 'not the URL'),
        ('postgresql://ada:hush@localhost:port/db', 'not the URL'),
        ('mssql://ada:hush@localhost/db', 'PostgreSQL or SQLite'),
        ('postgresql+pg8000://ada:hush@localhost/db', 'needs pg8000, which is not installed: .* leave it out'),
    ],
)
def test_urls_of_other_databases(url: str, problem: str) -> None:
    with pytest.raises(NotUsable, match=problem) as caught:
        engine(url)
    assert 'hush' not in str(caught.value).replace("'hush'", '')


def test_urls() -> None:
    assert engine('postgresql://localhost/db').dialect.driver == 'psycopg2'
    assert engine('db+postgresql+psycopg2://localhost/db').url.database == 'db'
    assert engine('database+sqlite://').dialect.name == 'sqlite'
