"""No message and no result of a stranger stops a worker, runs without a claim, or runs where it is read."""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import Binary

from cadasta.workertoolbox.monitor import Monitor
from rig.monitor.databases import TaskDatabase, url_of
from rig.servers.broker import PLATFORM_QUEUE

from .service import Service

REDIS = pytest.mark.parametrize('broker', ['redis'], indirect=True)

RIGHT: dict[str, Any] = {'callbacks': None, 'errbacks': None, 'chain': None, 'chord': None}
LEFT_OUT: Any = object()
# Each of these would stop a worker of Celery alone, stop one of its processes, or have no row.
HEADERS: list[tuple[str, Any]] = [
    *(('id', value) for value in (LEFT_OUT, None, 5, True, '', 'a\0b', '\ud800', 'L' * 160, ['a'], {'a': 1})),
    *(('task', value) for value in (None, 5, ['a'], {'a': 1}, 'a\0b', '\ud800', 'n' * 200)),
    *((name, value) for name in ('retries', 'replaced_task_nesting') for value in (2**40, 'x', -1, [1], {}, True, 1.5)),
    *(('timelimit', value) for value in (5, 'x', [1], ['a', 'b'], {'a': 1})),
    *((name, value) for name in ('eta', 'expires') for value in (5, 'x', ['a'])),
    *((name, 5) for name in ('stamped_headers', 'stamps', '_children')),
]
BODIES: list[Any] = [
    *('x', 5, None, {}, [], [[], {}], [5, {}, None], [[], [], None], [[], {}, 5], [[], {}, 'x']),
    *([[], {}, {**RIGHT, name: 'other'}] for name in ('id', 'task', 'retries', 'delivery_info', '_children')),
]
CLAIMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({'toolbox_claim': 5}, {}),
    ({}, {'toolbox_claim': {'runs': 1}}),
    ({'retries': None}, {}),
]


def send_raw(once: Service, headers: dict[str, Any], body: Any, **properties: Any) -> str:
    task_id = uuid.uuid4().hex
    right, own, _, _ = once.app.amqp.as_task_v2(task_id, 'once.plain', (), {})
    headers = {name: value for name, value in {**right, **headers}.items() if value is not LEFT_OUT}
    with once.app.producer_or_acquire() as producer:
        producer.publish(
            body, exchange='', routing_key='once', headers=headers, **{'serializer': 'json', **own, **properties}
        )
    return task_id


@REDIS
@pytest.mark.parametrize('pool', ['prefork', 'threads'])
def test_messages(once: Service, pool: str) -> None:
    worker = once.start('-Q', 'once', '-c', '1', '-P', pool, settings={'result_extended': True})
    refused = [send_raw(once, {name: value}, [[], {}, RIGHT]) for name, value in HEADERS if name != 'id']
    refused += [send_raw(once, {}, body) for body in BODIES]
    refused += [
        send_raw(once, {}, b'\x80', content_type=kind, content_encoding='binary', serializer=None)
        for kind in ('application/x-python-serialize', 'application/json', 'application/no-such-type')
    ]
    nameless = [send_raw(once, {'id': value}, [[], {}, RIGHT]) for name, value in HEADERS if name == 'id']
    claimed = [send_raw(once, headers, [[], {}, {**RIGHT, **embedded}]) for headers, embedded in CLAIMS]
    once.wait_for_state(once.send('plain'), 'SUCCESS')
    for task_id in claimed:
        assert once.row(task_id, 'status, runs') == ('SUCCESS', 1)
        assert once.count('begin', task_id) == 1
    assert {task_id: once.row(task_id) for task_id in refused} == dict.fromkeys(refused, 'FAILURE')
    rows = len(refused) + len(claimed) + 1
    assert once.database.execute('SELECT count(*) FROM celery_taskmeta') == [(rows,)]
    assert len(once.notes()) == 2 * (len(claimed) + 1)
    assert worker.log.count('its id is') == len(nameless)
    assert not once.broker.count('once')
    assert worker.stop() == 0


@REDIS
@pytest.mark.parametrize(
    'settings', [{'RUN_ONCE': False}, {'result_backend': 'cache+memory://'}, {'result_backend': 'disabled://'}]
)
def test_a_body_that_is_no_task(once: Service, settings: dict[str, Any], tmp_path: Path) -> None:
    """`[42]` for a work queue, from a stranger: the worker goes on, claims or not, and the platform has the message."""
    tasks = TaskDatabase(url_of(once.database))
    with once.app.producer_or_acquire() as producer:
        declare = [once.app.amqp.queues[name] for name in ('once', PLATFORM_QUEUE)]
        producer.publish([42], exchange='task_exchange', routing_key='once', serializer='json', declare=declare)
    worker = once.start('-Q', 'once', '-c', '1', '-P', 'solo', settings=settings)
    task_id = once.send('plain')
    once.wait_until(lambda: once.count('end', task_id), 'the task to end')
    assert not once.broker.count('once')
    assert worker.stop() == 0
    Monitor(once.app, tasks.url, once=True).run()
    (row,) = tasks.rejected()
    assert row['reason'] == 'neither the headers nor the body name a task'
    assert json.loads(row['message'])['body'] == base64.b64encode(b'[42]').decode()
    assert tasks.tasks().keys() == {task_id}


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def failure(module: Any, name: Any, message: Any = ('text',)) -> bytes:
    return json.dumps({'exc_module': module, 'exc_type': name, 'exc_message': message}).encode()


@REDIS
def test_results(once: Service, tmp_path: Path) -> None:
    """They are stored with the role of a worker, and read by a producer and by the watch over a chord."""
    run = tmp_path / 'run'
    stored = [
        # The result, the children, and what a reader gets.
        (pickle.dumps(Bomb(run)), None, 'UnreadableResult'),
        (b'no JSON', None, 'UnreadableResult'),
        (b'5', None, 'UnreadableResult'),
        (failure('builtins', 'SystemExit'), None, 'SystemExit'),
        (failure('builtins', 'KeyboardInterrupt'), None, 'KeyboardInterrupt'),
        (failure('builtins', 'GeneratorExit'), None, 'GeneratorExit'),
        (failure('builtins', 'MemoryError'), None, 'MemoryError'),
        (failure('celery.exceptions', 'Reject', ('text', True)), None, 'Reject'),
        (failure('celery.exceptions', 'WorkerTerminate'), None, 'WorkerTerminate'),
        (failure('os', 'mkdir', str(run)), None, 'UnreadableResult'),
        (failure('os', '_exit', 0), None, 'UnreadableResult'),
        (failure('antigravity', 'webbrowser'), None, 'webbrowser'),
        (failure(['os'], {}), None, 'UnreadableResult'),
        (failure('builtins', 'ValueError'), b'5', 'UnreadableResult'),
        (failure('builtins', 'ValueError'), b'[["1"]]', 'UnreadableResult'),
    ]
    worker = once.start('-Q', 'once,celery', '-c', '1')
    bodies = []
    for result, children, expected in stored:
        task_id, body = uuid.uuid4().hex, uuid.uuid4().hex
        once.database.execute_as_worker(
            'INSERT INTO celery_taskmeta (id, task_id, status, result, children) '
            "VALUES (nextval('task_id_sequence'), %s, 'FAILURE', %s, %s)",
            task_id,
            Binary(result),
            children and Binary(children),
        )
        with pytest.raises(Exception) as raised:  # noqa: PT011  # its class is what matters
            once.app.AsyncResult(task_id).get(timeout=60)
        assert type(raised.value).__name__ == expected
        total = once.app.signature('once.total', task_id=body)
        watch = once.app.signature('celery.chord_unlock', ('group', total), {'result': [[[task_id, None], None]]})
        watch.apply_async()
        bodies.append(body)
    for body in bodies:
        once.wait_for_state(body, 'FAILURE')
    assert not run.exists()
    assert 'antigravity' not in sys.modules
    assert worker.stop() == 0


# kombu cannot read these in a queue of the broker itself.
ENVELOPES: list[Any] = [
    *(None, [], 5, {}, {'body': 5, 'properties': 5}, {'headers': 5, 'properties': {'delivery_tag': ['1']}}),
    {'properties': {'delivery_tag': '1', 'delivery_info': 5}},
    {'body': 'x', 'headers': {}, 'properties': {'delivery_tag': '2', 'body_encoding': 'base64'}},
    {'body': 'x', 'headers': {}, 'properties': {'delivery_tag': '3', 'body_encoding': 'no such'}},
]


@pytest.mark.parametrize('broker', ['redis', 'sqs'], indirect=True)
def test_what_kombu_cannot_read(once: Service) -> None:
    worker = once.start('-Q', 'once', '-c', '1')
    once.broker.put('once', [*map(json.dumps, ENVELOPES), 'no JSON'])
    once.wait_for_state(once.send('plain'), 'SUCCESS')
    once.wait_until(lambda: not once.broker.count('once'), 'the queue to be empty')
    assert 'Connection to broker lost' not in worker.log
    assert worker.stop() == 0
