"""The quantiles of `stats` are about as exact as it says, in each database."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadasta.workertoolbox.database.connection import prepare_to_read
from cadasta.workertoolbox.database.tables import result_tables
from cadasta.workertoolbox.tracked import TrackedTasks
from cadasta.workertoolbox.tracked.stats import TaskStats, gathered, summed, summing
from rig.monitor.databases import TaskDatabase

from .rows import NOON, minutes, schedule, schedule_all, store

SECONDS = st.one_of(
    st.sampled_from([0.0, 1e-6, -1e-6, 0.001, 1.0, 1.005, 1.01, 3600.0, 1e9]),
    st.floats(1e-6, 1e-2),
    st.floats(-100, 1e6),
    st.floats(1, 1.1),
)


def exact(values: list[float], quantile: float) -> tuple[float, float]:
    """A quantile as `percentile_cont` has it, and the greater of the two values between which it lies."""
    ordered = sorted(values)
    place = quantile * (len(ordered) - 1)
    lower, upper = ordered[math.floor(place)], ordered[math.ceil(place)]
    return lower + (place % 1) * (upper - lower), max(abs(lower), abs(upper))


def judge(found: TaskStats, waited: list[float]) -> None:
    assert found.count == len(waited)
    for seconds, quantile in ((found.waited_p50, 0.5), (found.waited_p95, 0.95)):
        right, size = exact(waited, quantile)
        assert seconds == pytest.approx(right, rel=0, abs=0.01 * size + 1.001e-5)
        assert seconds is not None
        assert min(waited) <= seconds <= max(waited)


@given(st.lists(SECONDS, min_size=1, max_size=200))
def test_a_quantile_is_no_more_than_one_percent_off(waited: list[float]) -> None:
    (found,) = summed(gathered(('a', 0, 0, seconds, None) for seconds in waited), NOON)
    judge(found, waited)


@given(st.lists(SECONDS, min_size=1, max_size=2), st.integers(1, 9))
def test_few_different_times_are_exact(waited: list[float], times: int) -> None:
    (found,) = summed(gathered(('a', 0, 0, seconds, None) for seconds in [waited[0]] * times), NOON)
    assert found.waited_p50 == found.waited_p95 == waited[0]
    (found,) = summed(gathered(('a', 0, 0, seconds, None) for seconds in waited), NOON)
    assert found.waited_p95 == pytest.approx(exact(waited, 0.95)[0], abs=0)


def test_many_tasks_of_a_database(tasks: TaskDatabase) -> None:
    waited = [-3.0, 0.0, 0.000_004, *(0.5 + (number * 7919 % 1000) / 100 for number in range(400)), 86_400.0]
    ids = [f'task-{number}' for number in range(len(waited))]
    schedule_all(tasks, [{'task_id': task_id, 'sent': NOON} for task_id in ids])
    schedule_all(tasks, [{'task_id': 'unstarted', 'name': 'msg.send'}, {'task_id': 'runs', 'name': 'msg.send'}])
    table, _ = result_tables({}, {})
    ended = {'status': 'SUCCESS', 'runs': 1, 'retries': 0, 'replaced': 0}
    done = [(NOON + timedelta(seconds=seconds + 2)).replace(tzinfo=None) for seconds in waited]
    rows = [
        {'id': number, 'task_id': ids[number], 'started': NOON + timedelta(seconds=seconds), 'date_done': done[number]}
        for number, seconds in enumerate(waited)
    ]
    rows.append({'id': 999, 'task_id': 'runs', 'started': minutes(1), 'status': 'STARTED', 'date_done': None})
    with tasks.engine.begin() as connection:
        connection.execute(table.insert(), [{**ended, **row} for row in rows[:9]])
        connection.execute(table.insert(), [{**ended, 'status': 'FAILURE', **row} for row in rows[9:-1]])
        connection.execute(table.insert(), [{**ended, **rows[-1]}])
    with TrackedTasks(tasks.url) as tracked:
        found, other = tracked.stats(minutes(0))
    # SQLite counts milliseconds.
    judge(found, [round(seconds, 3) for seconds in waited] if 'sqlite' in tasks.url else waited)
    assert found.failed == 395
    assert found.failed_percent == pytest.approx(100 * 395 / 404)
    assert found.ran_p50 == pytest.approx(2, rel=0.01)
    assert found.ran_p95 == pytest.approx(2, rel=0.01)
    assert (other.name, other.count, other.failed_percent, other.ran_p50) == ('msg.send', 2, None, None)


def test_processes_of_postgresql_share_the_work(postgresql: TaskDatabase) -> None:
    schedule_all(postgresql, [{'task_id': str(number)} for number in range(4000)])
    postgresql.execute('ANALYZE celery_task')
    query = summing(minutes(0)).compile(dialect=postgresql.engine.dialect, compile_kwargs={'literal_binds': True})
    with postgresql.engine.begin() as connection:
        prepare_to_read(connection)
        # There is little work to share.
        for setting in ('parallel_setup_cost', 'min_parallel_table_scan_size'):
            connection.exec_driver_sql(f'SET LOCAL {setting} = 0')
        plan = '\n'.join(connection.exec_driver_sql(f'EXPLAIN {query}').scalars())
    assert 'Partial HashAggregate' in plan, plan


@pytest.mark.parametrize(
    ('seconds', 'half', 'most'),
    [([7], 7, 7), ([4, 2], 3, 3.9), ([2, 9, 4], 4, 8.5), ([*range(21)], 10, 19), ([*range(1, 11)], 5.5, 9.55)],
)
def test_how_long_tasks_waited_and_ran(tasks: TaskDatabase, seconds: list[int], half: float, most: float) -> None:
    for number in seconds:
        schedule(tasks, str(number), sent=minutes(0))
        started = number / 60
        store(tasks, str(number), minute=3 * started, started=minutes(started), retries=0, replaced=0)
    with TrackedTasks(tasks.url) as tracked:
        (found,) = tracked.stats(minutes(0))
    assert (found.count, found.failed, found.failed_percent) == (len(seconds), 0, 0)
    assert [found.waited_p50, found.waited_p95] == pytest.approx([half, most], abs=0.001)
    assert [found.ran_p50, found.ran_p95] == pytest.approx([2 * half, 2 * most], abs=0.001)


def test_which_tasks_are_summarised(tasks: TaskDatabase) -> None:
    for minute, status in enumerate(['SUCCESS', 'SUCCESS', 'FAILURE', 'STARTED', 'REVOKED']):
        schedule(tasks, status + str(minute), minute)
        store(tasks, status + str(minute), status, minute)
    schedule(tasks, 'queued', 9)
    schedule(tasks, 'other', 9, name='msg.send')
    with TrackedTasks(tasks.url) as tracked:
        found = [(one.name, one.count, one.failed, one.failed_percent) for one in tracked.stats(minutes(1))]
    assert found == [('export.project', 5, 1, 50), ('msg.send', 1, 0, None)]
