"""Messages of real producers over real brokers land in the tables."""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
import struct
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.canvas import StampingVisitor
from kombu import Connection

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.monitor import Monitor, sources
from cadasta.workertoolbox.monitor import message as message_module
from cadasta.workertoolbox.monitor.bounds import MAX_BODY
from cadasta.workertoolbox.monitor.sources import Limits, open_source
from cadasta.workertoolbox.monitor.sources import redis as redis_source
from rig.monitor.databases import TaskDatabase
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.raw_message import Raw, nested, table

from .test_decode import Bomb

ETA = datetime.now(UTC) + timedelta(days=2)


def nothing(*args: Any, **kwargs: Any) -> None:
    """The tasks are scheduled and never run."""


def make_app(broker: Broker, **settings: Any) -> Celery:
    app = Celery('stream', set_as_current=False)
    app.config_from_object(
        Config(QUEUES=['export', 'msg'], database_create_tables_at_setup=False, **broker.settings, **settings)
    )
    for name in ('export.project', 'msg.send'):
        app.task(name=name, shared=False)(nothing)
    return app


def drain(broker: Broker, app: Celery, tasks: TaskDatabase, **options: Any) -> None:
    """Runs a monitor until the queue is empty."""
    # To count is to wait until all that was sent has come to the queue.
    broker.count(PLATFORM_QUEUE)
    Monitor(app, tasks.url, once=True, **options).run()


class Stamps(StampingVisitor):
    def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
        return {'tenant': 'Zürich', 'stamped_headers': ['tenant']}


def test_every_option_of_apply_async(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker)
    project, send = app.tasks['export.project'], app.tasks['msg.send']
    big = 'x' * 200_000
    stamped = project.s(5)
    stamped.stamp(Stamps())
    sent: dict[str, Any] = {
        'plain': project.delay(7, key='é\u2028\U0001f600'),
        'eta': project.apply_async(eta=ETA, expires=ETA + timedelta(hours=1)),
        'countdown': project.apply_async(countdown=3600, expires=7200),
        'priority': project.apply_async(priority=6),
        'headers': project.apply_async(headers={'tenant': 'Zürich', 'nested': {'a': [1, None]}}),
        'stamped': stamped.apply_async(),
        'links': project.apply_async(link=[send.s('ada'), send.s('bob')], link_error=send.si('eve')),
        'retry': project.apply_async(retries=4, root_id='root', parent_id='parent', time_limit=9, soft_time_limit=8),
        'shadow': project.apply_async(shadow='nice name', argsrepr='(***)'),
        'properties': project.apply_async(reply_to='somewhere', correlation_id='another', app_id='mine', type='odd'),
        'big': project.delay(big),
        'chain': chain(project.s(1), send.s('ada'), send.s('bob')).apply_async(),
        'work_queue': project.apply_async(queue='msg'),
    }
    for name in ('gzip', 'bzip2', 'lzma'):
        sent[name] = project.apply_async((name,), compression=name)
    members = group(project.s(number) for number in range(3)).apply_async()
    header = chord([project.s(8), project.s(9)], send.s('ada'))
    body = header.apply_async()
    drain(broker, app, postgresql)

    rows = postgresql.tasks()
    assert not postgresql.rejected()
    assert broker.count(PLATFORM_QUEUE) == 0
    ids = {name: result.id for name, result in sent.items()}
    ids['chain'] = sent['chain'].parent.parent.id
    # A chord of a database backend adds the task that waits for its header.
    others = rows.keys() - ids.values() - {result.id for result in members}
    assert sorted(rows[task_id]['name'] for task_id in others) == ['celery.chord_unlock', *2 * ['export.project']]
    row = {name: rows[task_id] for name, task_id in ids.items()}
    assert (row['plain']['args'], row['plain']['kwargs']) == ([7], {'key': 'é\u2028\U0001f600'})
    assert row['plain']['root_id'] == ids['plain']
    assert (row['eta']['eta'], row['eta']['expires']) == (ETA, ETA + timedelta(hours=1))
    assert row['countdown']['expires'] - row['countdown']['eta'] == timedelta(hours=1)
    assert row['priority']['options']['priority'] == 6
    assert (row['headers']['options']['tenant'], row['headers']['options']['nested']) == ('Zürich', {'a': [1, None]})
    assert row['stamped']['options']['stamped_headers'] == ['tenant']
    assert row['stamped']['options']['stamps'] == {'tenant': 'Zürich'}
    assert [link['args'] for link in row['links']['options']['callbacks']] == [['ada'], ['bob']]
    assert row['links']['options']['errbacks'][0]['task'] == 'msg.send'
    assert (row['retry']['retries'], row['retry']['root_id'], row['retry']['parent_id'], row['retry']['timelimit']) == (
        4,
        'root',
        'parent',
        [9, 8],
    )
    assert (row['shadow']['options']['shadow'], row['shadow']['options']['argsrepr']) == ('nice name', '(***)')
    properties = row['properties']['options']
    assert [properties[name] for name in ('reply_to', 'correlation_id', 'app_id', 'type')] == [
        'somewhere',
        'another',
        'mine',
        'odd',
    ]
    assert row['big']['args'] == [big]
    assert [step['args'] for step in row['chain']['options']['chain']] == [['bob'], ['ada']]
    assert (row['plain']['routing_key'], row['work_queue']['routing_key']) == ('export', 'msg')
    assert {rows[result.id]['group_id'] for result in members} == {members.id}
    for name in ('gzip', 'bzip2', 'lzma'):
        assert row[name]['args'] == [name]
        assert 'compression' in row[name]['options']
    assert sum('chord' in row['options'] for row in rows.values()) == 2
    assert body.id not in rows


def test_sqlite_stores_the_same(broker: Broker, tmp_path: Path) -> None:
    tasks = TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')
    app = make_app(broker)
    results = [app.tasks['export.project'].apply_async((number,), retries=number % 2) for number in range(25)]
    drain(broker, app, tasks, batch=7)
    rows = tasks.tasks()
    assert [rows[result.id]['args'] for result in results] == [[number] for number in range(25)]
    assert broker.count(PLATFORM_QUEUE) == 0


@pytest.mark.parametrize('broker', ['memory'], indirect=True)
def test_the_batches_of_a_queue(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that gets messages one by one takes as many as it may, and pauses where there is none."""
    pauses: list[float] = []
    monkeypatch.setattr(Limits, 'sleep', lambda limits, seconds: pauses.append(seconds))
    app = make_app(broker)
    for _ in range(3):
        app.send_task('export.project')
    found = []
    with broker.connect() as connection:
        source = open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(2, 0, lambda: False))
        for _ in range(3):
            messages = source.receive()
            source.acknowledge(messages)
            found.append((len(messages), source.has_backlog(), len(pauses)))
    assert found == [(2, True, 0), (1, False, 0), (0, False, 1)]
    assert pauses[0] > 0


def test_no_arguments(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker)
    result = app.tasks['export.project'].apply_async(
        ('secret',),
        {'password': 'secret'},
        argsrepr='(***)',
        kwargsrepr='{***}',
        link=app.signature('msg.send', ('secret',)),
    )
    drain(broker, app, postgresql, arguments=False)
    row = postgresql.tasks()[result.id]
    assert (row['args'], row['kwargs']) == ('(***)', '{***}')
    assert 'secret' not in str(row)


def test_the_first_protocol(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker, task_protocol=1)
    result = app.tasks['export.project'].apply_async((7,), {'a': 1}, eta=ETA)
    drain(broker, app, postgresql)
    row = postgresql.tasks()[result.id]
    assert (row['name'], row['args'], row['kwargs'], row['eta']) == ('export.project', [7], {'a': 1}, ETA)


def publish(
    connection: Connection,
    app: Celery,
    body: bytes,
    content_type: str | None = 'application/json',
    headers: dict[str, Any] | None = None,
) -> None:
    """Puts a message into the platform queue alone, as it stands."""
    queue = app.amqp.queues[PLATFORM_QUEUE](connection.default_channel)
    queue.declare()
    connection.Producer().publish(
        body,
        routing_key=PLATFORM_QUEUE,
        content_type=content_type,
        content_encoding='utf-8',
        headers=headers,
        serializer=None,
    )


def test_hostile_messages(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker)
    sql = "'); DROP TABLE celery_task; --"
    named = {'task': 'export.project', 'id': 'id'}
    hostile: list[tuple[bytes, str | None, dict[str, Any]]] = [
        (pickle.dumps(Bomb()), 'application/x-python-serialize', named),
        (b'!!python/object/apply:os.abort []', 'application/x-yaml', named),
        (b'[[', 'application/json', named),
        (b'\xff\x00\xfe', 'application/data', named),
        (b'[[], {}, {}]', 'application/json', {}),
        (b'[[], {}, {}]', 'application/json', {**named, 'id': 'x' * 10_000}),
        (b'[[], {}, {}]', 'application/json', {**named, 'id': 'a\0b'}),
        (b'[' * 100_000, 'application/json', named),
        (b'[' * 5_000 + b']' * 5_000, 'application/json', named),
        (
            zlib.compress(b'[[' + b' ' * 40 * MAX_BODY),
            'application/json',
            {**named, 'compression': 'application/x-gzip'},
        ),
        (b'x', 'application/json', {**named, 'compression': 'application/x-gzip'}),
        (b'', 'application/json', named),
        (b'{}', 'application/json', {}),
    ]
    with broker.connect() as connection:
        for body, content_type, headers in hostile:
            publish(connection, app, body, content_type, headers)
        publish(connection, app, b'[["a\\u0000b"], {}, {}]', headers={'task': 'nul', 'id': 'nul'})
        publish(
            connection,
            app,
            b'[["%b"], {}, {}]' % sql.encode(),
            headers={'task': sql, 'id': sql, 'root_id': sql, 'origin': sql, 'group': sql, sql: sql},
        )
        drain(broker, app, postgresql, batch=4)
    assert postgresql.tasks().keys() == {'nul', sql}
    assert postgresql.tasks()[sql]['args'] == [sql]
    assert postgresql.count('celery_task_rejected') == len(hostile)
    assert broker.count(PLATFORM_QUEUE) == 0


@pytest.mark.parametrize('broker', ['redis', 'sqs'], indirect=True)
def test_messages_that_no_kombu_wrote(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker)
    raw = [
        'hello',
        '{',
        '{}',
        '{"properties": 7}',
        '[' * 1000,
        '{"headers": ' * 1000,
        base64.b64encode(os.urandom(30)).decode(),
    ]
    with broker.connect() as connection:
        channel = connection.default_channel
        app.amqp.queues[PLATFORM_QUEUE](channel).declare()
        for text in raw:
            if broker.name == 'redis':
                channel.client.lpush(PLATFORM_QUEUE, text)
            else:
                channel.sqs().send_message(
                    QueueUrl=channel._new_queue(PLATFORM_QUEUE),
                    MessageBody=text,
                    MessageGroupId='x',
                    MessageDeduplicationId=str(len(text)),
                )
    drain(broker, app, postgresql)
    assert {bytes(row['message']).decode() for row in postgresql.rejected()} == set(raw)
    assert broker.count(PLATFORM_QUEUE) == 0


@pytest.mark.parametrize('broker', ['redis', 'amqp'], indirect=True)
def test_messages_that_are_too_long(broker: Broker, postgresql: TaskDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The monitor keeps the beginning of each, and takes them off the queue, and no others."""
    for name, value in {'MAX_BODY': 4_000, 'MAX_ENVELOPE': 4_000, 'KEPT': 100}.items():
        for module in (sources, redis_source, message_module):
            monkeypatch.setattr(module, name, value, raising=False)
    app = make_app(broker)
    before = app.send_task('export.project')
    with broker.connect() as connection:
        for number in range(2):
            publish(connection, app, b'%d%b' % (number, 9_000 * b'x'), headers={'task': f'name-{number}', 'id': '1'})
    after = app.send_task('export.project')
    drain(broker, app, postgresql, batch=2)
    assert postgresql.tasks().keys() == {before.id, after.id}
    assert broker.count(PLATFORM_QUEUE) == 0
    rows = postgresql.rejected()
    assert all(len(row['message']) == 100 for row in rows)
    assert all(
        re.search(r'has \d+ bytes, and at most 4000 are read: its first 100 bytes are kept', row['reason'])
        for row in rows
    )
    # RabbitMQ tells the headers apart from the body. What begins alike has one row.
    assert {row['name'] for row in rows} == ({None} if broker.name == 'redis' else {'name-0', 'name-1'})


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
@pytest.mark.parametrize('body', [b'', b'the body'])
def test_properties_that_the_client_library_cannot_read(
    broker: Broker,
    postgresql: TaskDatabase,
    body: bytes,
) -> None:
    app = make_app(broker)
    # Each with the flag of its property.
    raw = {
        'UnicodeDecodeError': b'\x04\x00' + b'\x02\xff\xfe',
        'OverflowError': b'\x20\x00' + table(b'\x01aT' + struct.pack('>Q', 2**64 - 1)),
        'RecursionError': b'\x20\x00' + nested(1500),
    }
    before = app.tasks['export.project'].delay()
    with broker.connect() as connection:
        channel = connection.default_channel
        for properties in raw.values():
            channel.basic_publish(Raw(body, properties), 'task_exchange', 'export')
    after = app.tasks['export.project'].delay()
    drain(broker, app, postgresql, batch=2)
    assert postgresql.tasks().keys() == {before.id, after.id}
    kept = {row['reason'].split(': ')[1]: json.loads(row['message']) for row in postgresql.rejected()}
    assert kept == {
        error: {'properties': base64.b64encode(properties).decode(), 'body': base64.b64encode(body).decode()}
        for error, properties in raw.items()
    }
    assert broker.count(PLATFORM_QUEUE) == 0


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_a_routing_key_that_is_no_text(broker: Broker, postgresql: TaskDatabase) -> None:
    app = make_app(broker)
    before = app.tasks['export.project'].delay()
    with broker.connect() as connection:
        for key in (b'caf\xe9', b'\xff' * 255):
            connection.default_channel.basic_publish(Raw(b'[]'), 'task_exchange', key)
    after = app.tasks['export.project'].delay()
    drain(broker, app, postgresql, batch=2)
    assert postgresql.tasks().keys() == {before.id, after.id}
    assert {row['routing_key'] for row in postgresql.rejected()} == {'caf\\xe9', ('\\xff' * 16)[:63]}
    assert broker.count(PLATFORM_QUEUE) == 0
