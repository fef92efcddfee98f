from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy

from cadasta.workertoolbox.results import refuse_clearly
from cadasta.workertoolbox.timeouts import broker_options, connect_once, missing_timeouts


@pytest.mark.parametrize(
    ('transport', 'given', 'options'),
    [
        ('sqs', {}, {'visibility_timeout': 300}),
        ('sqs', {'visibility_timeout': '60'}, {'visibility_timeout': '60'}),
        ('sqs', {'visibility_timeout': 1}, {'visibility_timeout': 1}),
        ('amqps', {'read_timeout': None}, {'read_timeout': None, 'write_timeout': 10}),
        ('memory', {'visibility_timeout': 'mine'}, {'visibility_timeout': 'mine'}),
        ('redis+socket', {}, {'visibility_timeout': 300, 'unacked_restore_interval': 3}),
        ('rediss', {'visibility_timeout': 4}, {'visibility_timeout': 4, 'unacked_restore_interval': 0.04}),
        ('redis', {'visibility_timeout': 43200}, {'visibility_timeout': 43200, 'unacked_restore_interval': 10}),
        ('sentinel', {'unacked_restore_throttle': 1}, {'visibility_timeout': 300, 'unacked_restore_interval': 10}),
        ('redis', {'unacked_restore_interval': 7}, {'visibility_timeout': 300, 'unacked_restore_interval': 7}),
    ],
)
def test_options_of_the_broker(transport: str, given: dict[str, Any], options: dict[str, Any]) -> None:
    completed = broker_options(transport, given)
    silence = {'socket_timeout': 10, 'socket_connect_timeout': 10, 'health_check_interval': 5}
    assert completed == {**given, **options, **(silence if 'unacked_restore_interval' in completed else {})}


@pytest.mark.parametrize('timeout', [0, 0.5, -1, 'soon', None])
def test_a_visibility_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(ValueError, match=f'visibility_timeout {timeout!r}: it must be a number of seconds'):
        broker_options('sqs', {'visibility_timeout': timeout})


def test_a_timeout_that_is_given_stays() -> None:
    given = {'connect_timeout': 3, 'keepalives_idle': 5, 'keepalives_interval': 5}
    assert missing_timeouts(given) == {'keepalives_count': 3, 'tcp_user_timeout': 60_000}


@pytest.mark.parametrize(('others', 'retries'), [([], 0), (['a'], 0), (['a', 'b', 'c'], 2)])
def test_each_server_of_a_list_is_tried_once(others: list[str], retries: int) -> None:
    """Zero retries are one try."""
    given: dict[str, Any] = {}
    connect_once(SimpleNamespace(alt=others, ensure_connection=given.update))
    assert given == {'max_retries': retries, 'reraise_as_library_errors': False}


@pytest.mark.parametrize(
    ('url', 'timeouts'),
    [
        ('postgresql+psycopg2://cadasta@localhost/tasks', {'connect_timeout': 10, 'tcp_user_timeout': 60_000}),
        (
            'postgresql+psycopg2://cadasta@localhost/tasks?connect_timeout=3',
            {'connect_timeout': '3', 'tcp_user_timeout': 60_000},
        ),
        ('sqlite://', {}),
    ],
)
def test_a_silent_database_is_noticed_where_libpq_connects_it(url: str, timeouts: dict[str, Any]) -> None:
    engine = sqlalchemy.create_engine(url)
    refuse_clearly(engine)
    seen: dict[str, Any] = {}

    class Enough(Exception):  # noqa: N818  # it is no error
        pass

    @sqlalchemy.event.listens_for(engine, 'do_connect')
    def see(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        seen.update(parameters)
        raise Enough

    with pytest.raises(Enough):
        engine.connect()
    assert {name: seen[name] for name in seen if name in ('connect_timeout', 'tcp_user_timeout')} == timeouts
