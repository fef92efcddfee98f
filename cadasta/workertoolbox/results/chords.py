"""Send what waits for the header of a chord when the header was sent, and not before.

Celery sends ``celery.chord_unlock`` first. If a task of the header cannot be sent, ``delay`` raises an error, and a
worker would look for the results of the header each second, for as long as ``CHORD_UNLOCK_MAX_RETRIES`` allows.

Celery tells the result backend of each task of a header that was sent. The last of them is the time to send
``celery.chord_unlock``.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from celery import Celery
from kombu.exceptions import LimitExceeded

from ..seams.celery_chords import Unlock, unlock_of
from ..seams.kombu_pools import spare


class _Header:
    """The header of a chord that is being sent."""

    def __init__(self, ids: set[str], unlock: Unlock) -> None:
        self.unsent = ids
        self.unlock = unlock


# By the results of its tasks. Celery forgets them where it cannot send the header, and so does this.
_headers: WeakKeyDictionary[Any, _Header] = WeakKeyDictionary()


def begin(app: Celery, group_id: str, results: Sequence[Any], body: Any, options: Mapping[str, Any]) -> None:
    """Make what waits for a header, before Celery sends the header.

    :param app: the app that sends the chord.
    :param group_id: the id of the header.
    :param results: the results of its tasks.
    :param body: the signature of the body.
    :param options: the other arguments of ``apply_chord``.
    :raises celery.exceptions.QueueNotFound: where no queue serves it.
    """
    for result in results:
        # A result of the same id may be left of a chord that was not sent. It would take the new entry with it.
        _headers.pop(result, None)
    unlock = unlock_of(app, app.GroupResult(group_id, results), body, **options)
    unlock.check()
    header = _Header({result.id for result in results}, unlock)
    for result in results:
        _headers[result] = header


def note_sent(result: Any) -> None:
    """Send what waits for the header of a chord, if this task is the last of the header to be sent.

    :param result: the result of the task.
    """
    header = _headers.pop(result, None)
    if header is None:
        return
    header.unsent.discard(result.id)
    if not header.unsent:
        with _connection(header.unlock.app) as connection, connection.Producer() as producer:
            header.unlock.send(producer)


@contextmanager
def _connection(app: Celery) -> Iterator[Any]:
    """Take a connection, and never wait for one: Celery holds another, and threads could wait for each other."""
    try:
        connection = app.pool.acquire()
    except LimitExceeded:
        connection = spare(app.pool)
    with connection:
        yield connection
