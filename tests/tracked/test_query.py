"""Lists, pages and workflows, read from the view."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cadasta.workertoolbox.database.views import VIEW
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.tracked import (
    Count,
    Cursor,
    Extent,
    Filter,
    TrackedTask,
    TrackedTasks,
    listing,
    query,
    task,
    workflow_search,
)
from cadasta.workertoolbox.tracked.extent import BRIEF, STRUCTURE, WHOLE, Bytes, Text, read
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.postgres import Database

from .plans import explained
from .rows import minutes, schedule, schedule_all, store


@pytest.fixture
def tracked(tasks: TaskDatabase) -> Iterator[TrackedTasks]:
    with TrackedTasks(tasks.url) as tracked:
        yield tracked


def ids(found: list[TrackedTask]) -> list[str]:
    return [task.task_id for task in found]


def test_everything_that_is_known_of_a_task(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    schedule(
        tasks,
        'a',
        args=[1, {'b': None}],
        kwargs={'c': 'é'},
        root_id='r',
        parent_id='p',
        group_id='g',
        retries=2,
        eta=minutes(1),
        expires=minutes(2),
        timelimit=[None, 3],
        origin='here',
        options={'lang': 'py'},
    )
    store(tasks, 'a', 'FAILURE', 3, result=b'{}', traceback='Traceback')
    assert tracked.get('a') == TrackedTask(
        task_id='a',
        status='FAILURE',
        name='export.project',
        args=[1, {'b': None}],
        kwargs={'c': 'é'},
        root_id='r',
        parent_id='p',
        group_id='g',
        routing_key='export',
        eta=minutes(1),
        expires=minutes(2),
        retries=2,
        timelimit=[None, 3],
        origin='here',
        options={'lang': 'py'},
        first_seen=minutes(0),
        last_seen=minutes(0),
        date_done=minutes(3),
        result=b'{}',
        traceback='Traceback',
        standing='failed',
    )
    assert tracked.page(Filter(), 9) == tracked.workflow('a') == tracked.find(['a', 'b']) == [tracked.get('a')]
    assert tracked.get('b') is None


def test_times_have_a_time_zone_whatever_that_of_the_server(postgresql: TaskDatabase) -> None:
    postgresql.execute("SET TIME ZONE 'Asia/Kathmandu'")
    name = postgresql.engine.url.database
    postgresql.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Kathmandu'")
    schedule(postgresql, 'a', 1)
    store(postgresql, 'a', minute=2)
    with TrackedTasks(postgresql.url) as tracked:
        task = tracked.get('a')
        assert task is not None
        assert (task.first_seen, task.date_done) == (minutes(1), minutes(2))
        assert task.duration == timedelta(minutes=1)


@pytest.mark.parametrize(
    ('status', 'done', 'duration'),
    [
        ('SUCCESS', 2, timedelta(minutes=2)),
        ('SUCCESS', -2, timedelta()),
        ('STARTED', 2, None),
        ('RETRY', 2, None),
    ],
)
def test_durations(status: str, done: int, duration: timedelta | None) -> None:
    task = TrackedTask('a', status, first_seen=minutes(0), date_done=minutes(done))
    assert task.duration == duration
    assert TrackedTask('a', status, date_done=minutes(done)).duration is None


def test_pages_have_each_task_once_newest_first(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    # A batch of the monitor is first seen at one time.
    for number in range(20):
        schedule(tasks, f'{number:02}', number // 7)
    for number in range(3):
        store(tasks, f'early{number}', minute=number)
    everything = ids(tracked.page(Filter(), 100))
    assert everything == [*(f'{number:02}' for number in reversed(range(20))), 'early2', 'early1', 'early0']
    for size in (1, 4, 7, 21, 23):
        paged: list[str] = []
        before: Cursor | None = None
        while page := tracked.page(Filter(), size, before):
            paged += ids(page)
            before = page[-1].cursor
        assert paged == everything


#: An index has only the beginning of this name of a class.
LONG_NAME = 'Error' * 30

FILTERS = [
    (Filter(state='FAILURE'), ['old', 'early']),
    (Filter(state='PENDING'), ['new', 'prefix']),
    (Filter(state='REVOKED'), []),
    (Filter(state='FAILURE', name='export.project'), ['old']),
    (Filter(name='export.project'), ['mid', 'old']),
    (Filter(name='export.*'), ['prefix', 'mid', 'old']),
    (Filter(name='export.%'), []),
    (Filter(name='EXPORT.*'), []),
    (Filter(name='*'), ['new', 'prefix', 'mid', 'old']),
    (Filter(name='%*'), []),
    (Filter(root='old'), ['mid', 'old']),
    (Filter(queue='msg'), ['new']),
    (Filter(newer_than=minutes(2)), ['new', 'prefix', 'mid']),
    (Filter(older_than=minutes(2)), ['old']),
    (Filter(newer_than=minutes(2), older_than=minutes(4)), ['prefix', 'mid']),
    (Filter(older_than=minutes(2).astimezone(timezone(timedelta(hours=-7)))), ['old']),
    (Filter(state='SUCCESS', queue='export', root='old', name='export.*', newer_than=minutes(1)), ['mid']),
    (Filter(id_prefix='mi'), ['mid']),
    (Filter(id_prefix='e'), ['early']),
    (Filter(id_prefix='%'), []),
    (Filter(id_prefix='m', state='FAILURE'), []),
    (Filter(argument=('customer', '42')), ['new', 'mid']),
    (Filter(argument=('customer', '4')), []),
    (Filter(argument=('other', '42')), []),
    (Filter(argument=('0', 'x y')), ['old']),
    (Filter(argument=('1', '7')), ['old']),
    (Filter(error='KeyError'), ['old']),
    (Filter(error='Key'), []),
    (Filter(error=LONG_NAME), ['early']),
    (Filter(error=LONG_NAME[:-1]), []),
    (Filter(group='g'), ['prefix']),
    (Filter(worker='export@'), ['mid']),
    (Filter(worker='export@host#7.0a'), ['mid']),
    (Filter(worker='xport'), []),
    (Filter(standing='failed'), ['old', 'early']),
    (Filter(standing='succeeded'), ['mid']),
    (Filter(standing='queued'), ['new']),
    (Filter(standing='waiting'), ['prefix']),
    (Filter(standing='waiting', state='SUCCESS'), []),
    (Filter(standing='lost', worker='export@'), []),
    (Filter(name='a\0b', root='\ud800', queue='\0', state='\0'), []),
]


@pytest.fixture
def some(tasks: TaskDatabase) -> None:
    schedule(tasks, 'old', 1, args=['x y', 7], kwargs={})
    schedule(tasks, 'mid', 2, root_id='old', kwargs={'customer': '42'})
    schedule(tasks, 'prefix', 3, name='export.projects', group_id='g', eta=minutes(1))
    schedule(tasks, 'new', 4, name='msg.send', routing_key='msg', kwargs={'customer': 42})
    store(tasks, 'old', 'FAILURE', result=b'{"exc_type": "KeyError", "exc_message": ["x"], "exc_module": "builtins"}')
    store(tasks, 'mid', 'SUCCESS', worker='export@host#7.0a')
    store(tasks, 'early', 'FAILURE', result=f'{{"exc_type": "{LONG_NAME}"}}'.encode())
    # Whoever stores this says no more than that nothing is known.
    store(tasks, 'new', 'PENDING')


@pytest.mark.usefixtures('some')
@pytest.mark.parametrize('newest', [0, 1, 2_000])
def test_filters(tracked: TrackedTasks, monkeypatch: pytest.MonkeyPatch, newest: int) -> None:
    monkeypatch.setattr(listing, '_NEWEST', newest)
    for where, expected in FILTERS:
        assert ids(tracked.page(where, 9)) == expected, where
        assert ids(tracked.page(where, 1)) == expected[:1], where
        for first, second in pairwise(tracked.page(where, 9)):
            assert tracked.page(where, 1, first.cursor) == [second], where


#: A task may have become any of these, by the columns of its result, and its options, `eta` and `expires` in minutes.
STANDINGS: dict[str, list[tuple[dict[str, Any] | None, dict[str, Any]]]] = {
    'waiting': [(None, {'eta': 9}), ({'status': 'RECEIVED'}, {'eta': 9})],
    'queued': [(None, {}), (None, {'eta': -9}), (None, {'expires': 9})],
    'running': [({'status': 'STARTED'}, {}), ({'status': 'STARTED', 'lease': 9}, {}), ({'status': 'PROGRESS'}, {})],
    'retrying': [({'status': 'RETRY'}, {})],
    'succeeded': [({'status': 'SUCCESS'}, {'expires': -9})],
    'failed': [({'status': 'FAILURE'}, {}), ({'status': 'FAILURE', 'runs': 2}, {})],
    'cancelled': [({'status': 'FAILURE', 'runs': 0}, {}), ({'status': 'REVOKED', 'result': b'{"x": "cancelled"}'}, {})],
    'expired': [(None, {'expires': -9}), ({'status': 'REVOKED', 'result': b'{"x": "expired"}'}, {})],
    'unknown': [(None, {'options': {'ignore_result': True}})],
    'lost': [({'status': 'STARTED', 'lease': -9}, {}), ({'status': 'PROGRESS', 'lease': -9}, {})],
}


@pytest.mark.parametrize('newest', [0, 2_000])
def test_each_standing(
    tasks: TaskDatabase, tracked: TrackedTasks, monkeypatch: pytest.MonkeyPatch, newest: int
) -> None:
    monkeypatch.setattr(listing, '_NEWEST', newest)

    def from_now(values: dict[str, Any]) -> dict[str, Any]:
        later = {name: datetime.now(UTC) + timedelta(minutes=value) for name, value in values.items() if name in TIMES}
        return {**values, **later}

    for standing, cases in STANDINGS.items():
        for number, (result, values) in enumerate(cases):
            schedule(tasks, f'{standing}{number}', number, **from_now(values))
            if result is not None:
                store(tasks, f'{standing}{number}', **from_now(result))
    assert set(STANDINGS) == set(task.STANDINGS)
    for standing, cases in STANDINGS.items():
        expected = [f'{standing}{number}' for number in range(len(cases))][::-1]
        found = tracked.page(Filter(standing=standing), 9)
        assert ids(found) == expected
        assert {row.standing for row in found} == {standing}


TIMES = ('eta', 'expires', 'lease')


@pytest.mark.usefixtures('some')
def test_a_list_in_portions(tracked: TrackedTasks, monkeypatch: pytest.MonkeyPatch, tasks: TaskDatabase) -> None:
    monkeypatch.setattr(query, 'VALUES', 2)
    monkeypatch.setattr(query, '_MOST', 50)
    expected = ['new', 'prefix', 'mid', 'old', 'early']
    for extent in (WHOLE, BRIEF, STRUCTURE, Extent(('args', 'result'), 3)):
        for limit in (1, 2, 3, 100):
            assert ids(list(tracked.stream(Filter(), limit, extent))) == expected[:limit]
        for where, found in FILTERS:
            assert ids(list(tracked.stream(where, 9, extent))) == found
    stream = tracked.stream(Filter(), 100)
    next(stream)
    tasks.execute("DELETE FROM celery_task WHERE task_id = 'mid'")
    tasks.execute("DELETE FROM celery_taskmeta WHERE task_id = 'mid'")
    assert ids(list(stream)) == ['prefix', 'old', 'early']
    gone = TrackedTask('mid', 'SUCCESS')
    assert list(tracked.detailed([gone], WHOLE)) == [gone]


def test_the_beginnings_of_values(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    schedule(tasks, 'a', args=['x' * 20], kwargs={'y': 1}, options={})
    store(tasks, 'a', 'FAILURE', result='"é"'.encode() * 9, traceback='Traceback')
    cut = tracked.get('a', Extent(longest=14))
    assert cut is not None
    assert (cut.args, cut.args.more) == (Text('["xxxxxxxxxxxx'), 10)
    assert (cut.kwargs, cut.options, cut.traceback) == ({'y': 1}, {}, 'Traceback')
    assert isinstance(cut.result, Bytes)
    assert (cut.result.more, cut.result.text()) == (22, '"é""é""é""')
    assert read({'result': None, 'result_length': None}, Extent(('result',), 3)) == {'result': None}
    brief = tracked.get('a', BRIEF)
    assert brief is not None
    assert (brief.args, brief.kwargs, brief.options, brief.result, brief.traceback) == (None,) * 5
    assert (brief.status, brief.standing) == ('FAILURE', 'failed')


@pytest.mark.usefixtures('some')
def test_lists_read_nothing_large(tasks: TaskDatabase) -> None:
    """PostgreSQL would read all of a large value, and send it."""
    with TrackedTasks(tasks.url) as tracked:
        asked: list[str] = []
        sa.event.listen(tracked._engine, 'before_cursor_execute', lambda *event: asked.append(event[2]))
        for where, _ in FILTERS:
            if not (where.argument or where.error):
                tracked.page(where, 9, extent=BRIEF)
        assert len(asked) > len(FILTERS)
        for name in ('args', 'kwargs', 'options', 'result', 'traceback'):
            assert not [statement for statement in asked if re.search(rf'\b{name}\b', statement.partition('WHERE')[0])]


def test_lists_and_trees_have_nothing_large_in_memory(tmp_path: Path) -> None:
    database = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    for number in range(4):
        chain = {'chain': [{'task': 'a', 'args': ['x' * 2_000_000], 'options': {'task_id': 'b'}}]}
        schedule(database, str(number), number, root_id='0', args=['x' * 2_000_000], options=chain)
        store(database, str(number), result=b'"' + b'x' * 2_000_000 + b'"')
    with TrackedTasks(database.url) as tracked:
        tracked.page(Filter(), 1, extent=BRIEF)
        most = {
            'list': lambda: tracked.page(Filter(), 9, extent=BRIEF),
            'lines': lambda: tracked.page(Filter(), 9, extent=Extent(('args', 'kwargs', 'result'), 500)),
            'tree': lambda: tracked.workflow('2', whole=False),
            'documents': lambda: sum(1 for _ in tracked.stream(Filter(), 9)),
        }
        for name, read_all in most.items():
            tracemalloc.start()
            read_all()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # Each task has 6 MB. A document has to be read whole, one at a time.
            assert peak < (500_000 if name in ('list', 'lines') else 20_000_000), name


def test_results_without_tasks_fill_a_page_and_no_more(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    schedule(tasks, 'task')
    for task_id in ('a', 'b', 'c'):
        store(tasks, task_id)
    first = tracked.page(Filter(), 3)
    assert ids(first) == ['task', 'c', 'b']
    assert ids(tracked.page(Filter(), 3, first[-1].cursor)) == ['a']


@pytest.mark.usefixtures('some')
def test_a_result_that_came_before_its_task(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    early = tracked.get('early')
    assert early is not None
    assert (early.status, early.name, early.first_seen, early.duration) == ('FAILURE', None, None, None)
    assert tracked.workflow('early') == [early]
    assert ids(tracked.page(Filter(state='FAILURE'), 9, Cursor(None, 'early'))) == []
    schedule(tasks, 'early', 9)
    assert ids(tracked.page(Filter(), 1)) == ['early']


def test_counts(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    schedule(tasks, 'before', -1)
    for number in range(7):
        schedule(tasks, str(number), number, routing_key='msg' if number == 6 else 'export')
    # A message of another program may have no queue.
    schedule(tasks, 'nowhere', 6, routing_key=None)
    for number in range(2):
        store(tasks, str(number), 'FAILURE')
    assert tracked.counts(minutes(0), timedelta(minutes=5)) == [
        Count(minutes(0), 'FAILURE', 'export', 2),
        Count(minutes(0), 'PENDING', 'export', 3),
        Count(minutes(5), 'PENDING', None, 1),
        Count(minutes(5), 'PENDING', 'export', 1),
        Count(minutes(5), 'PENDING', 'msg', 1),
    ]


def test_many_tasks_are_read_as_they_lie(postgresql: TaskDatabase) -> None:
    schedule(postgresql, 'a', 0)
    names = ('enable_mergejoin', 'work_mem', 'parallel_tuple_cost')
    settings = f'SELECT {", ".join(f"current_setting({name!r})" for name in names)}'
    seen: list[tuple[str, ...]] = []

    def note(connection: sa.Connection, cursor: Any, statement: str, *others: object) -> None:
        if 'celery_task_scheduled' in statement:
            cursor.execute(settings)
            seen.append(cursor.fetchone())

    with TrackedTasks(postgresql.url) as tracked:
        before = tuple(tracked._connection.execute(sa.text(settings)).one())
        sa.event.listen(tracked._engine, 'before_cursor_execute', note)
        assert len(tracked.counts(minutes(0), timedelta(minutes=5))) == len(tracked.stats(minutes(0))) == 1
        assert seen == [('off', '64MB', '0.001')] * 2
        assert tuple(tracked._connection.execute(sa.text(settings)).one()) == before


def test_a_workflow_has_no_more_tasks_than_asked_for(
    tasks: TaskDatabase,
    tracked: TrackedTasks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (query, workflow_search):
        monkeypatch.setattr(module, 'VALUES', 2)
    for number in range(9):
        schedule(tasks, str(number), number, root_id='0', parent_id=str(number - 1))
    assert ids(tracked.workflow('5')) == ids(tracked.workflow('5', whole=False)) == [str(number) for number in range(9)]
    assert len(tracked.workflow('5', 4)) == 4
    assert tracked.workflow('10') == []


@pytest.mark.parametrize('args', [['a_b', {'task': 'body'}], "('a_b', {'task': 'body'})"])
def test_the_unlock_of_a_group_is_found_by_its_arguments(tasks: TaskDatabase, tracked: TrackedTasks, args: Any) -> None:
    unlock = 'celery.chord_unlock'
    schedule(tasks, 'header', 0, group_id='a_b')
    schedule(tasks, 'unlock', 1, name=unlock, args=args)
    schedule(tasks, 'of-another', 2, name=unlock, args=['axb', {'task': 'body'}])
    schedule(tasks, 'of-a-longer', 2, name=unlock, args=['a', {'task': 'body'}])
    schedule(tasks, 'no-unlock', 3, args=args)
    assert ids(tracked.workflow('header')) == ['header', 'unlock']


def test_it_writes_nothing(tasks: TaskDatabase, tracked: TrackedTasks) -> None:
    with pytest.raises(DBAPIError, match=r'read-?only'):
        tracked._connection.execute(sa.text('DELETE FROM celery_task_rejected'))


@pytest.mark.parametrize('missing', ['celery_task_status', 'celery_task_scheduled'])
def test_a_view_is_missing(tasks: TaskDatabase, missing: str) -> None:
    for view in ('celery_task_status', 'celery_task_scheduled'):
        tasks.execute(f'DROP VIEW {view}')
        if view == missing:
            break
    else:
        raise AssertionError
    if missing == 'celery_task_scheduled':
        tasks.execute('CREATE VIEW celery_task_status AS SELECT * FROM celery_task')
    with (
        pytest.raises(NotUsable, match=f'no view {missing!r}: run `celery toolbox tables` first'),
        TrackedTasks(tasks.url),
    ):
        raise AssertionError


def test_a_view_of_version_1_0(tasks: TaskDatabase) -> None:
    for view in ('celery_task_status', 'celery_task_scheduled'):
        tasks.execute(f'DROP VIEW {view}')
    tasks.execute('CREATE VIEW celery_task_scheduled AS SELECT * FROM celery_task')
    with (
        pytest.raises(NotUsable, match=r'celery_task_scheduled.* standing.*_status: run `celery toolbox tables` first'),
        TrackedTasks(tasks.url),
    ):
        raise AssertionError


def test_a_role_that_may_not_read(postgresql: TaskDatabase, upgraded: Database) -> None:
    url = url_of(upgraded, upgraded.role, upgraded.password)
    with TrackedTasks(url) as tracked, pytest.raises(NotUsable, match='permission denied for view celery_task_status'):
        tracked.get('a')
    for view in ('celery_task_status', 'celery_task_scheduled'):
        postgresql.execute(f'GRANT SELECT ON {view} TO {upgraded.role}')
    schedule(postgresql, 'a')
    with TrackedTasks(url) as tracked:
        assert ids(tracked.page(Filter(), 9)) == ids(tracked.workflow('a')) == ['a']


def test_other_databases(tmp_path: Path) -> None:
    with pytest.raises(NotUsable, match='PostgreSQL or SQLite'):
        TrackedTasks('mysql://localhost/')
    with pytest.raises(DBAPIError), TrackedTasks('postgresql://127.0.0.1:1/'):
        raise AssertionError


def test_the_layer_knows_all_columns_of_the_view(tasks: TaskDatabase) -> None:
    columns = {column['name'] for column in sa.inspect(tasks.engine).get_columns(VIEW)}
    assert columns == set(TrackedTask.__dataclass_fields__)


def test_what_few_tasks_meet_is_found_by_indexes(postgresql: TaskDatabase) -> None:
    ids = [f'{number:04}' for number in range(3000)]
    schedule_all(postgresql, [{'task_id': task_id} for task_id in ids])
    postgresql.execute(
        """INSERT INTO celery_taskmeta (id, task_id, status, result)
        SELECT number, task_id, CASE WHEN number % 5 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END,
            convert_to('{"exc_type": "Error' || number || '"', 'UTF8')
        FROM (SELECT task_id, row_number() OVER () AS number FROM celery_task) AS numbered"""
    )
    for table in ('celery_task', 'celery_taskmeta'):
        vacuum(postgresql, table)
    for where, indexes in [
        (Filter(state='PENDING'), ['celery_taskmeta_task_id_key', 'ix_celery_taskmeta_open']),
        (Filter(standing='queued'), ['celery_taskmeta_task_id_key', 'ix_celery_taskmeta_open']),
        (Filter(standing='waiting'), ['ix_celery_task_eta', 'ix_celery_taskmeta_open']),
        (Filter(standing='running'), ['ix_celery_taskmeta_open']),
        (Filter(standing='lost'), ['ix_celery_taskmeta_open']),
        (Filter(error='KeyError'), ['ix_celery_taskmeta_error']),
    ]:
        with explained(postgresql) as (tracked, plans):
            assert tracked.page(where, 9) == []
        _, all_tasks, results = plans
        for index in indexes:
            assert index in all_tasks, (where, all_tasks)
        assert 'Seq Scan' not in all_tasks + results
        if where.state == 'PENDING':
            assert 'Index Only Scan using celery_task_pkey' in all_tasks
            assert 'Index Only Scan using celery_taskmeta_task_id_key' in all_tasks


def vacuum(tasks: TaskDatabase, table: str) -> None:
    with tasks.engine.connect().execution_options(isolation_level='AUTOCOMMIT') as connection:
        connection.execute(sa.text(f'VACUUM (ANALYZE) {table}'))


def test_relatives_are_found_by_indexes(postgresql: TaskDatabase) -> None:
    with explained(postgresql) as (tracked, plans):
        tracked.workflow('a')
        tracked.find(['a'])
        plan = '\n'.join(plans)
        for index in (
            'celery_task_pkey',
            'ix_celery_task_root_id',
            'ix_celery_task_group_id',
            'ix_celery_task_later',
            'ix_celery_task_chord_unlock',
            'celery_taskmeta_task_id_key',
        ):
            assert index in plan
        assert 'Seq Scan' not in plan
