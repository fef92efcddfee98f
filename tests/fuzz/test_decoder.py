"""The target for the decoder, driven by Hypothesis; and what it accepts, PostgreSQL accepts too."""

from __future__ import annotations

import base64
import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cadasta.workertoolbox.errors import Unreadable
from cadasta.workertoolbox.monitor.decode import decode
from cadasta.workertoolbox.monitor.message import Message
from cadasta.workertoolbox.monitor.store import Store, Stored
from rig.monitor.databases import TaskDatabase

from . import decoder

text = st.one_of(st.text(max_size=8), st.sampled_from(['\0', '\ud800', '1', 'a.b', '2030-01-02T03:04:05+00:00']))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text)
json_values = st.recursive(
    scalars,
    lambda values: st.one_of(st.lists(values, max_size=3), st.dictionaries(text, values, max_size=3)),
    max_leaves=8,
)
json_tables = st.dictionaries(text, json_values, max_size=3)

# A table of AMQP: no text longer than that, no integer outside 64 bits, and seconds.
amqp_names = st.one_of(st.text(max_size=8), st.binary(max_size=4))
amqp_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=4),
        st.datetimes(datetime(1970, 1, 1)),
        st.decimals(-999, 999, places=2),
    ),
    lambda values: st.one_of(st.lists(values, max_size=3), st.dictionaries(amqp_names, values, max_size=3)),
    max_leaves=8,
)


CODECS: dict[str, Callable[[bytes], bytes]] = {
    'application/x-gzip': zlib.compress,
    'application/x-bz2': bz2.compress,
    'application/x-lzma': lzma.compress,
}
FIELDS = [
    'task',
    'id',
    'root_id',
    'parent_id',
    'group',
    'origin',
    'eta',
    'expires',
    'retries',
    'timelimit',
    'replaced_task_nesting',
    'compression',
]
ids = st.sampled_from(['1', '2', 'x' * 155])
times = st.datetimes().map(datetime.isoformat)


def fields(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Makes a message that says about its task what Celery would say, but for one or two things."""
    usual = st.fixed_dictionaries(
        {'task': st.sampled_from(['a.b', 'é\0']), 'id': ids},
        optional={
            'root_id': ids,
            'parent_id': ids,
            'group': ids,
            'origin': text,
            'eta': times,
            'expires': times,
            'retries': st.integers(0, 3),
            'replaced_task_nesting': st.integers(0, 3),
            'timelimit': values,
            'argsrepr': values,
            'tenant': values,
            'compression': st.sampled_from([*CODECS, None]),
        },
    )
    unusual = st.dictionaries(st.sampled_from(FIELDS), st.one_of(text, values), max_size=2)
    return st.builds(lambda usual, unusual: {**usual, **unusual}, usual, st.one_of(st.just({}), st.just({}), unusual))


calls = st.tuples(st.lists(json_values, max_size=3), json_tables, json_tables)
bodies = st.one_of(calls, calls, calls, fields(json_values), json_values).map(json.dumps).map(str.encode)
content = st.fixed_dictionaries(
    {
        'content_type': st.sampled_from(['application/json'] * 9 + [None]),
        'content_encoding': st.sampled_from(['utf-8', 'binary', None] * 3 + ['utf-16']),
    }
)


def compressed(headers: dict[str, Any], body: bytes) -> bytes:
    compression = headers.get('compression')
    return CODECS[compression](body) if isinstance(compression, str) and compression in CODECS else body


@st.composite
def envelopes(draw: st.DrawFn) -> bytes:
    headers, properties = draw(fields(json_values)), draw(content)
    body = compressed(headers, draw(bodies))
    envelope = json.dumps(
        {
            'body': base64.b64encode(body).decode(),
            'headers': headers,
            'content-type': properties['content_type'],
            'content-encoding': properties['content_encoding'],
            'properties': {
                **draw(json_tables),
                'body_encoding': 'base64',
                'delivery_info': {'routing_key': draw(text)},
            },
        }
    ).encode()
    return draw(st.sampled_from([envelope, base64.b64encode(envelope), decoder.SQS + envelope]))


@st.composite
def amqp_messages(draw: st.DrawFn) -> bytes:
    headers = draw(fields(amqp_values))
    body = compressed(headers, draw(bodies))
    properties = {name: value for name, value in draw(content).items() if value is not None}
    return decoder.to_rabbitmq(Message(1, body, headers, properties, draw(st.text(max_size=8))))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real message of which a piece is replaced."""
    data = draw(st.sampled_from(list(decoder.seeds())))
    start = draw(st.integers(0, len(data)))
    return data[:start] + draw(st.binary(max_size=4)) + data[start + draw(st.integers(0, 4)) :]


deliveries = st.one_of(envelopes(), amqp_messages(), mutated(), st.binary(max_size=64))


@pytest.fixture(scope='module')
def check() -> Iterator[Callable[[bytes], None]]:
    with decoder.target() as run:
        yield run


def test_seeds_are_understood(check: Callable[[bytes], None]) -> None:
    reasons = []
    for seed in decoder.seeds():
        item = decoder.delivered(seed)
        assert item is not None
        check(seed)
        try:
            decode(item)
        except Unreadable as error:
            reasons.append(str(error))
    assert reasons == 3 * ["the body is 'application/x-pickle', and only JSON is read"]


@settings(max_examples=300, deadline=None)
@given(data=deliveries)
@example(data=decoder.to_rabbitmq(Message(1, b'', {'id': 7, 'task': 'a', 'x': {b'\xff': 1, 'y': 2}}, {}, '')))
@example(data=decoder.to_rabbitmq(Message(1, b'', {'id': '1', 'task': 'a', 'x': Decimal('1.5')}, {}, '')))
def test_whatever_is_delivered(check: Callable[[bytes], None], data: bytes) -> None:
    check(data)


def comparable(value: Any) -> Any:
    """PostgreSQL writes large and small numbers otherwise than SQLite."""
    return json.loads(json.dumps(value, default=str), parse_int=float)


def test_postgresql_accepts_what_the_decoder_accepts(postgresql: TaskDatabase, tmp_path: Any) -> None:
    sqlite = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    with Store(postgresql.url) as store, Store(sqlite.url) as other:

        @settings(max_examples=50, deadline=None)
        @given(batch=st.lists(deliveries, min_size=1, max_size=8))
        def run(batch: list[bytes]) -> None:
            messages = [item for item in map(decoder.delivered, batch) if item is not None]
            assert store.write(messages) == other.write(messages) == counted(messages)
            stored, kept = postgresql.tasks(), sqlite.tasks()
            for row in (*stored.values(), *kept.values()):
                del row['first_seen'], row['last_seen']
            assert comparable(stored) == comparable(kept)

        run()


def counted(messages: list[Message]) -> Stored:
    accepted = 0
    for item in messages:
        try:
            decode(item)
        except Unreadable:
            continue
        accepted += 1
    return Stored(accepted, len(messages) - accepted)
