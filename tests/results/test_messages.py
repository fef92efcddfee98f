"""A worker rejects a message that Celery cannot read; real workers get such messages in `test_strangers.py`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import signals

from cadasta.workertoolbox.results.messages import Readable

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
def test_what_celery_does_not_get(headers: Any, payload: Any, reason: str) -> None:
    consumer = Consumer()
    assert consumer.get(headers, payload).rejected == 1
    assert not consumer.taken
    assert consumer.stored['1'].startswith(reason)


def test_what_celery_fails_at(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer(AttributeError('no'))
    assert consumer.get(RIGHT, BODY).rejected == consumer.get(None, BODY).rejected == 1
    assert consumer.stored == {'1': "Celery cannot read its message: AttributeError('no')"}
    # The pool has it, which has counted it.
    monkeypatch.setattr('celery.worker.state.reserved_requests', [SimpleNamespace(id='1')])
    with pytest.raises(AttributeError):
        consumer.get(RIGHT, BODY)


@pytest.mark.parametrize('error', [ConnectionResetError(), KeyError(), MemoryError()])
def test_what_is_no_fault_of_the_message(error: Exception) -> None:
    with pytest.raises(type(error)):
        Consumer(error).get(RIGHT, BODY)


def test_what_celery_rejects() -> None:
    """It says so by a signal, with an error where it can tell one."""
    consumer, other = Consumer(), Consumer()
    signals.task_rejected.send(sender=consumer, message=Message(RIGHT, BODY), exc=ValueError('invalid ETA'))
    signals.task_rejected.send(sender=consumer, message=Message({**RIGHT, 'id': 5}, BODY), exc=ValueError('no'))
    signals.task_rejected.send(sender=consumer, message=Message(RIGHT, BODY), exc=None)
    signals.task_rejected.send(sender=consumer, message=Message(None, BODY), exc=ValueError('no'))
    assert (consumer.stored, other.stored) == ({'1': 'invalid ETA'}, {})
