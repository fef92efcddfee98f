"""Brokers that tell little are taken to hold something, here without a broker; `test_held.py` asks real ones."""

from __future__ import annotations

import io
import json
import urllib.request
from base64 import b64decode
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue

from cadasta.workertoolbox.check.platform_queue import Depth
from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import NotUsable
from cadasta.workertoolbox.mending import held, redis_queues
from cadasta.workertoolbox.mending.answers import Held
from cadasta.workertoolbox.mending.held import DeadLetters, WorkQueues
from cadasta.workertoolbox.mending.management import Management

# Answers

IDS = Held(2, ids=frozenset({'1', '2'}))


def test_what_may_be_the_message_of_a_task() -> None:
    assert Held(0).why_not_lost('1') == ''
    assert Held(0, 'busy').why_not_lost('1') == 'busy'
    assert Held(None, 'mute').why_not_lost('1') == 'mute'
    assert Held(3, 'busy').why_not_lost('1') == 'its work queue has 3 messages, and one of them may be its own'
    assert IDS.why_not_lost('2') == 'its message is in its work queue, or a worker has received it'
    assert IDS.why_not_lost('3') == ''


@pytest.mark.parametrize(('messages', 'others', 'left'), [(2, 2, 0), (2, 3, 0), (2, 1, 2), (0, 0, 0), (None, 2, None)])
def test_messages_of_others(messages: int | None, others: int, left: int | None) -> None:
    assert Held(messages, 'busy').without(others) == Held(left, 'busy')


@pytest.mark.parametrize(
    ('first', 'later', 'both'),
    [
        (Held(0), Held(0), Held(0)),
        (Held(0), Held(1), Held(1)),
        (Held(1), Held(0), Held(1)),
        (Held(0, 'busy'), Held(0), Held(0, 'busy')),
        (Held(0), Held(0, 'busy'), Held(0, 'busy')),
        (Held(None, 'mute'), Held(0), Held(None, 'mute')),
        (IDS, Held(1, ids=frozenset({'3'})), Held(1, ids=frozenset({'1', '2', '3'}))),
        # So many that nobody reads their ids, the second time.
        (IDS, Held(7), IDS),
        (Held(7), IDS, Held(7)),
    ],
)
def test_a_task_is_lost_if_two_answers_say_so(first: Held, later: Held, both: Held) -> None:
    assert first.and_then(later) == both


# Work queues


class Kind:
    """A broker that says what a test wants it to say."""

    def __init__(self, depths: Mapping[str, Depth]) -> None:
        self.depths = depths

    def depth(self, name: str) -> Depth | None:
        return self.depths.get(name)

    def dead_letters(self, name: str) -> tuple[str, int] | None:
        return {'export': ('dead', 1), 'msg': ('dead', 0)}.get(name)


def queues_of(
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
    depths: Mapping[str, Depth] | None,
    management: str | None = None,
    **settings: Any,
) -> WorkQueues:
    def kind_of(connection: Any, platform: str) -> Kind | None:
        assert (connection, platform) == (given, 'platform.fifo')
        return None if depths is None else Kind(depths)

    monkeypatch.setattr(held, 'kind_of', kind_of)
    given: Any = SimpleNamespace(
        transport=SimpleNamespace(driver_type=transport), channel=lambda: 'channel', virtual_host='host'
    )
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(broker_url='memory://', **(settings or {'QUEUES': ['export', 'msg']})))
    return WorkQueues(app, given, management)


@pytest.mark.parametrize(
    ('transport', 'depth', 'is_running', 'answer'),
    [
        ('sqs', Depth(1, received=2, delayed=4), True, Held(7)),
        ('filesystem', Depth(1), False, Held(1)),
        ('filesystem', Depth(1), True, Held(1, 'a worker that is busy may hold messages, and their files are gone')),
        ('amqp', Depth(1, consumers=0), False, Held(1)),
        (
            'amqp',
            Depth(1, consumers=0),
            True,
            Held(1, 'a worker that is about to end may hold messages, because a task runs'),
        ),
        (
            'amqp',
            Depth(1, consumers=2),
            False,
            Held(1, "the 2 consumers of 'export' may hold messages, which RabbitMQ tells with --management only"),
        ),
        ('amqp', None, False, Held(None, "the broker has no queue 'export'")),
    ],
)
def test_what_a_broker_has(
    monkeypatch: pytest.MonkeyPatch, transport: str, depth: Depth | None, is_running: bool, answer: Held
) -> None:
    queues = queues_of(monkeypatch, transport, {} if depth is None else {'export': depth})
    assert queues.look(['export', None, 'elsewhere'], is_running) == {
        'export': answer,
        None: Held(None, 'its row has no routing key'),
        'elsewhere': Held(
            None, "this app has no queue for its routing key, 'elsewhere': run the command with an app that has"
        ),
    }


def test_a_broker_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queues = queues_of(monkeypatch, 'memory', None)
    doubt = "a broker of the transport 'memory' tells other processes nothing"
    assert queues.look(['export'], True) == {'export': Held(None, doubt)}
    assert (queues.untracked(), queues.depths(['export'])) == (None, {})


def test_the_depths_of_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    depths = {name: Depth(number) for number, name in enumerate(('export', 'other', 'unasked', 'platform.fifo'))}
    queues = queues_of(monkeypatch, 'amqp', depths)
    assert queues.depths(['other', 'missing', 'platform.fifo']) == {'export': Depth(0), 'other': Depth(1)}
    assert queues.untracked() == Depth(3)


@pytest.mark.parametrize(
    ('transport', 'found'),
    [
        ('sqs', [DeadLetters('export', 'dead', 1)]),
        ('amqp', [DeadLetters('given-up', 'graveyard', 3), DeadLetters('returned', 'key', 2)]),
        ('redis', []),
    ],
)
def test_dead_letters(monkeypatch: pytest.MonkeyPatch, transport: str, found: list[DeadLetters]) -> None:
    exchange = Exchange('task_exchange', 'topic')

    def queue(name: str, key: str, **arguments: str) -> Queue:
        named = {f'x-dead-letter-{argument.replace("_", "-")}': value for argument, value in arguments.items()}
        return Queue(name, exchange, routing_key=key, queue_arguments=named)

    task_queues = [
        Queue('export', exchange, routing_key='export'),
        queue('given-up', 'given', exchange='', routing_key='graveyard'),
        queue('returned', 'key', exchange=''),
        queue('elsewhere', 'elsewhere', exchange='others', routing_key='graveyard'),
        queue('empty', 'empty', exchange='', routing_key='nothing'),
        queue('missing', 'missing', exchange='', routing_key='no such queue'),
    ]
    depths = {'graveyard': Depth(3), 'key': Depth(2), 'nothing': Depth(0)}
    app_queues = queues_of(monkeypatch, transport, depths, task_queues=task_queues)
    assert list(app_queues.dead_letters()) == found


# The management plugin of RabbitMQ


def test_what_the_management_plugin_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    document: dict[str, Any] = {'messages_ready': 2, 'messages_unacknowledged': 3}

    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        asked.append((request.full_url, request.headers, timeout))
        return io.BytesIO(json.dumps(document).encode())

    monkeypatch.setattr(urllib.request, 'urlopen', urlopen)
    assert Management('https://a%40b:x%2Fy@here:15672/proxy/', '/').messages('a/b') == 5
    ((url, headers, timeout),) = asked
    assert (url, timeout) == ('https://here:15672/proxy/api/queues/%2F/a%2Fb', 10)
    assert b64decode(headers['Authorization'].removeprefix('Basic ')) == b'a@b:x/y'
    Management('http://here', 'host').messages('export')
    assert asked[-1][0] == 'http://here/api/queues/host/export'
    assert b64decode(asked[-1][1]['Authorization'].removeprefix('Basic ')) == b'guest:guest'

    queues = queues_of(monkeypatch, 'amqp', {'export': Depth(1, consumers=1)}, 'http://here')
    assert queues.look(['export'], True) == {'export': Held(5)}
    assert asked[-1][0] == 'http://here/api/queues/host/export'
    # It counts every five seconds, and the queue itself tells at once what waits.
    document['messages_ready'] = document['messages_unacknowledged'] = 0
    assert queues.look(['export'], True) == {'export': Held(1)}
    del document['messages_unacknowledged']
    doubt = "RabbitMQ has not counted yet what consumers of 'export' hold"
    assert queues.look(['export'], True) == {'export': Held(1, doubt)}


@pytest.mark.parametrize('answer', [b'no JSON', OSError('refused')])
def test_a_management_plugin_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, answer: bytes | OSError) -> None:
    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        if isinstance(answer, OSError):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(urllib.request, 'urlopen', urlopen)
    with pytest.raises(NotUsable) as error:
        Management('http://ada:hush@here', '/').messages('export')
    beginning = "RabbitMQ's management plugin at http://here/api/queues/%2F does not answer: "
    assert str(error.value).startswith(beginning)
    assert 'hush' not in str(error.value)


@pytest.mark.parametrize('url', ['ftp://here', 'http://', 'here:15672', 'http://ada:hush@'])
def test_what_is_no_url_of_a_management_plugin(url: str) -> None:
    with pytest.raises(NotUsable) as error:
        Management(url, '/')
    assert str(error.value).endswith('write it as in http://user:password@host:15672')
    assert 'hush' not in str(error.value)


def test_a_management_plugin_of_another_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotUsable, match='--management is for RabbitMQ, and the broker is redis'):
        queues_of(monkeypatch, 'redis', {}, 'http://here')


# Redis


def test_what_redis_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another app has bound a queue of its own to the key, and a copy that comes back goes to its queue by name."""
    waiting = {'export': ['1'], 'other': ['2', '3'], 'msg': [], 'unasked': ['7']}
    received = [('export', '4'), ('other', '5'), ('another', '6')]
    monkeypatch.setattr(redis_queues, 'waiting', lambda channel, queue: len(waiting[queue]))
    monkeypatch.setattr(redis_queues, 'waiting_ids', lambda channel, queue, most: waiting[queue][:most])
    monkeypatch.setattr(redis_queues, 'received_ids', lambda channel: received)
    bound = [('export', 'other'), ('msg', 'other'), ('elsewhere', 'unasked')]
    monkeypatch.setattr(held, 'bindings_to', lambda channel, exchange: bound if exchange == 'task_exchange' else [])
    queues = queues_of(monkeypatch, 'redis', {})
    has_export = Held(5, ids=frozenset('12345'))
    has_message = Held(3, ids=frozenset('235'))
    no_key = Held(None, 'its row has no routing key')
    assert queues.look(['export', None], False) == {'export': has_export, None: no_key}
    assert queues.look(['msg'], False) == {'msg': has_message}
    monkeypatch.setattr(redis_queues, 'MOST', 2)
    assert queues.look(['export', 'msg'], False) == {'export': Held(5), 'msg': has_message}
