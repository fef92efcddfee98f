"""Collect the messages that an app publishes within a block, instead of sending them."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from celery import Celery, current_task
from kombu.compression import compress
from kombu.serialization import dumps

from ..seams.celery_sending import choose_producers
from ..seams.kombu_pools import is_pooled
from ..topology import Refusal


@dataclass(frozen=True)
class Message:
    """A message that is to be published.

    :param body: its body, serialized and compressed.
    :param options: the other arguments of `kombu.Producer.publish`.
    """

    body: bytes | str
    options: dict[str, Any]

    @property
    def task_id(self) -> str | None:
        """The id of its task. An event of Celery has none."""
        return self.options.get('correlation_id')


class Collection:
    """The messages that an app publishes within a block.

    :param app: the app.
    :param outer: the collection of the block around this one. Another app may have it.
    """

    def __init__(self, app: Celery, outer: 'Collection | None') -> None:
        self.app = app
        self.outer = outer
        self._pid = os.getpid()
        self._lock = Lock()
        self._messages: list[Message] = []
        self._is_open = True

    def is_for(self, app: Celery) -> bool:
        """Tell whether it takes messages of an app. It takes none in a child of its process."""
        return self._is_open and self.app is app and self._pid == os.getpid()

    def add(self, *messages: Message) -> bool:
        """Take messages.

        :returns: whether they were taken. Another thread may have closed the collection.
        """
        with self._lock:
            if self._is_open:
                self._messages += messages
            return self._is_open

    def close(self) -> list[Message]:
        """Take no more messages.

        :returns: the messages that were taken. There are none for a child of the process, nor a second time.
        """
        if self._pid != os.getpid():
            return []
        with self._lock:
            self._is_open = False
            messages, self._messages = self._messages, []
            return messages


class Collector:
    """Stands for a producer, and adds to a collection what is published by it.

    :param collection: the collection.
    :param producer: the producer.
    """

    def __init__(self, collection: Collection, producer: Any) -> None:
        self._collection = collection
        self._producer = producer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def publish(self, body: Any, **options: Any) -> None:
        """Serialize a message now, because its arguments may change before it is sent, and collect it.

        :param body: the body.
        :param options: see `kombu.Producer.publish`.
        :raises Exception: where the message is refused, or cannot be serialized.
        """
        for entity in options.get('declare') or ():
            if isinstance(entity, Refusal):
                entity.declare()
        if not self._collection.add(_message(body, dict(options))):
            self._producer.publish(body, **options)


def _message(body: Any, options: dict[str, Any]) -> Message:
    serializer, compression = options.pop('serializer', None), options.pop('compression', None)
    headers = options['headers'] = dict(options.get('headers') or {})
    for name in ('retry', 'retry_policy'):
        options.pop(name, None)
    options['content_type'], options['content_encoding'], body = dumps(body, serializer=serializer)
    if compression:
        body, headers['compression'] = compress(body, compression)
    return Message(body, options)


_current: ContextVar[Collection | None] = ContextVar('collection', default=None)


def collection_of(app: Celery) -> Collection | None:
    """Find the innermost open collection of an app in this thread, greenlet or coroutine.

    :param app: the app.
    """
    found = _current.get()
    while found is not None and not found.is_for(app):
        found = found.outer
    return found


C = TypeVar('C', bound=Collection)


@contextmanager
def collecting(app: Celery, make: Callable[[Celery, Collection | None], C]) -> Iterator[C]:
    """Collect what an app publishes within the block. The block takes it by `Collection.close`, or it is dropped.

    :param app: the app.
    :param make: makes the collection of the app and of the collection of the block around this one.
    """
    choose_producers(app, _chosen)
    collection = make(app, _current.get())
    token = _current.set(collection)
    try:
        yield collection
    finally:
        _current.reset(token)
        # A coroutine that was started within the block may go on publishing.
        collection.close()


def _chosen(app: Celery, producer: Any, headers: Mapping[str, Any]) -> Any:
    collection = collection_of(app)
    if collection is None or _is_retry(headers) or not is_pooled(producer.connection, app):
        return producer
    return Collector(collection, producer)


def _is_retry(headers: Mapping[str, Any]) -> bool:
    """Tell whether a message is the retry of the task that runs. After it is sent, an error ends the block."""
    request = current_task.request if current_task else None
    return request is not None and headers.get('id') == request.id and headers.get('retries', 0) > request.retries
