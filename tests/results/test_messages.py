"""A worker rejects a message that Celery cannot read; real workers get such messages in `test_strangers.py`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals

from cadasta.workertoolbox.results.messages import Readable, fault, mended

RIGHT = {'id': '1', 'task': 'export.project'}
BODY: list[Any] = [[], {}, None]


class Message:
    def __init__(self, headers: Any, payload: Any) -> None:
        self.headers = headers
        self._payload = payload
        self.rejected = 0

    @property
    def payload(self) -> Any:
        if isinstance(self._payload, Exception):
            raise self._payload
        return self._payload

    def reject_log_error(self, logger: Any, errors: Any) -> None:
        self.rejected += 1


class Consumer:
    """A consumer that raises an error, or takes every message."""

    def __init__(self, error: Exception | None = None) -> None:
        self.taken: list[Message] = []
        self.stored: dict[str, str] = {}
        self.error = error
        self.connection_errors, self.channel_errors = (ConnectionError,), (LookupError,)
        self.app = SimpleNamespace(backend=SimpleNamespace(mark_as_failure=self.store))
        self.step = Readable(self)

    def create_task_handler(self) -> Any:
        return self.take

    def take(self, message: Message) -> None:
        if self.error is not None:
            raise self.error
        self.taken.append(message)

    def store(self, task_id: str, error: Exception, request: Any) -> None:
        assert request.id == task_id
        self.stored[task_id] = str(error)

    def get(self, headers: Any, payload: Any) -> Message:
        message = Message(headers, payload)
        self.create_task_handler()(message)
        return message


@pytest.mark.parametrize(
    ('headers', 'payload'),
    [
        (RIGHT, BODY),
        ({**RIGHT, 'timelimit': [None, 1.5], 'retries': 3, 'stamped_headers': ['a'], 'stamps': {'a': 1}}, BODY),
        # The first protocol, and headers with a body of the first protocol.
        ({}, {**RIGHT, 'args': [], 'kwargs': {}}),
        ({}, RIGHT),
        (RIGHT, {'args': [], 'kwargs': {}}),
        # Celery itself says that these are no tasks.
        (None, BODY),
        ({}, BODY),
        ({}, 'text'),
    ],
)
def test_what_celery_gets(headers: Any, payload: Any) -> None:
    consumer = Consumer()
    message = consumer.get(headers, payload)
    assert consumer.taken == [message]
    assert not consumer.stored


@pytest.mark.parametrize(
    ('headers', 'payload', 'reason'),
    [
        ({}, {**RIGHT, 'id': '1', 'retries': 'x'}, 'its retries is'),
        ({}, {**RIGHT, 'args': 5}, 'its args is'),
        (RIGHT, {'no': 'args'}, 'its body is'),
        (RIGHT, ValueError('no JSON'), 'its body cannot be decoded: ValueError'),
        ({**RIGHT, 'retries': 2**31}, BODY, 'its retries is'),
    ],
)
def test_what_celery_does_not_get(headers: Any, payload: Any, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    consumer = Consumer()
    assert consumer.get(headers, payload).rejected == 1
    assert not consumer.taken
    assert consumer.stored['1'].startswith(reason)
    assert caplog.messages == [f'Task export.project[1] is not run: {consumer.stored["1"]}']


MOST = 2**31 - 1


@pytest.mark.parametrize(
    ('field', 'right', 'wrong', 'must_be'),
    [
        ('id', ['1', 'x' * 155], [None, 1, '', 'x' * 156, 'a\0b'], 'text of 1 to 155 characters, without NUL'),
        ('task', ['export.project', ''], [None, 1, b'export'], 'text'),
        ('retries', [None, 0, MOST], [-1, MOST + 1, True, 1.0, '1'], f'a whole number from 0 to {MOST}'),
        ('replaced_task_nesting', [None, 0, MOST], [-1, MOST + 1, True, 1.0], f'a whole number from 0 to {MOST}'),
        (
            'timelimit',
            [None, [], (), [None, None], (1, 0.5)],
            [1, [1], [1, 2, 3], [1, '2'], [True, 2], [1, True], '12', {'a': 1, 'b': 2}],
            'two numbers',
        ),
        ('stamped_headers', [None, [], ('a',)], ['a', {'a': 1}, 1], 'a list'),
        ('stamps', [None, {}, {'a': 1}], ['a', ['a'], 1], 'a mapping'),
        ('_children', [None], [[], 0, ['1']], 'left out'),
    ],
)
def test_what_headers_may_say(field: str, right: list[Any], wrong: list[Any], must_be: str) -> None:
    assert [fault({**RIGHT, field: value}, BODY) for value in right] == [None] * len(right)
    assert [fault({**RIGHT, field: value}, BODY) for value in wrong] == [
        f'its {field} is {value!r}, and must be {must_be}' for value in wrong
    ]


@pytest.mark.parametrize(
    ('body', 'reason'),
    [
        (((), {}, {'chord': None}), None),
        ([[], {}, ''], None),
        ([[], {}], 'its body is [[], {}], and must be a list of args, kwargs, embed'),
        ('abc', "its body is 'abc', and must be a list of args, kwargs, embed"),
        (['a', {}, {}], "its args is 'a', and must be a list"),
        ([[], [], {}], 'its kwargs is [], and must be a mapping'),
        ([[], {}, ['a']], "its embed is ['a'], and must be a mapping"),
        ([[], {}, {'id': '2'}], "its embed is {'id': '2'}, and must be without what headers say"),
        (ValueError('no JSON'), "its body cannot be decoded: ValueError('no JSON')"),
    ],
)
def test_what_a_body_may_be(body: Any, reason: str | None) -> None:
    assert fault(RIGHT, body) == reason


def test_a_message_that_somebody_has_not_written_with_kombu() -> None:
    info = {'exchange': 'a', 'routing_key': 'b', 'more': 1}
    properties = {'delivery_tag': 7, 'delivery_info': info, 'body_encoding': 'base64'}
    right = {'headers': {'id': '1'}, 'properties': properties, 'body': 'x', 'content-type': 'application/json'}
    assert mended(right) == right
    assert mended({'body': 'x', 'properties': {'delivery_tag': 'a', 'delivery_info': {'exchange': 'a'}}}) == {
        'body': 'x',
        'headers': {},
        'properties': {'delivery_tag': 'a', 'delivery_info': {'exchange': 'a', 'routing_key': ''}},
    }
    for nothing in (None, 5, [], {'headers': 5, 'properties': []}, {'properties': {'delivery_tag': [1]}}):
        made, other = mended(nothing), mended(nothing)
        # A channel knows its messages by their tags.
        assert made['properties'].pop('delivery_tag') != other['properties']['delivery_tag']
        assert (made['headers'], made['properties']) == ({}, {'delivery_info': {'exchange': '', 'routing_key': ''}})


def test_what_celery_fails_at(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    consumer = Consumer(AttributeError('no'))
    assert consumer.get(RIGHT, BODY).rejected == consumer.get(None, BODY).rejected == 1
    assert consumer.stored == {'1': "Celery cannot read its message: AttributeError('no')"}
    assert caplog.messages == [
        "Task export.project[1] is not run: Celery cannot read its message: AttributeError('no')",
        "Task None[None] is not run: Celery cannot read its message: AttributeError('no')",
    ]
    # The pool has it, which has counted it.
    monkeypatch.setattr('celery.worker.state.reserved_requests', [SimpleNamespace(id='1')])
    with pytest.raises(AttributeError):
        consumer.get(RIGHT, BODY)


@pytest.mark.parametrize('error', [ConnectionResetError(), KeyError(), MemoryError()])
def test_what_is_no_fault_of_the_message(error: Exception) -> None:
    with pytest.raises(type(error)):
        Consumer(error).get(RIGHT, BODY)


def test_what_celery_rejects(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so by a signal, with an error where it can tell one."""
    # A signal knows its senders by their addresses, and the consumers of tests before this one had some of them.
    monkeypatch.setattr(signals.task_rejected, 'receivers', [])
    consumer, other = Consumer(), Consumer()
    signals.task_rejected.send(sender=consumer, message=Message(RIGHT, BODY), exc=ValueError('invalid ETA'))
    signals.task_rejected.send(sender=consumer, message=Message({**RIGHT, 'id': 5}, BODY), exc=ValueError('no'))
    signals.task_rejected.send(sender=consumer, message=Message(RIGHT, BODY), exc=None)
    signals.task_rejected.send(sender=consumer, message=Message(None, BODY), exc=ValueError('no'))

    class WithoutTheStep:
        app = other.app

    signals.task_rejected.send(sender=WithoutTheStep(), message=Message(RIGHT, BODY), exc=ValueError('no'))
    assert (consumer.stored, other.stored) == ({'1': 'invalid ETA'}, {})
