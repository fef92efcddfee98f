"""Celery: the message that waits for the header of a chord."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from celery import Celery
from celery.backends.base import BaseBackend
from celery.result import AsyncResult

from ..architecture import CHORD_UNLOCK


class Unlock(NamedTuple):
    """A call of ``celery.chord_unlock``.

    :param app: the app that makes it.
    :param args: the arguments of the task.
    :param kwargs: its keyword arguments.
    :param options: the options of the call.
    """

    app: Celery
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: dict[str, Any]

    def check(self) -> None:
        """Raise the error that it would raise because no queue serves it."""
        self.app.amqp.router.route(dict(self.options), CHORD_UNLOCK, self.args, self.kwargs)

    def send(self, producer: Any) -> None:
        """Send it.

        :param producer: the producer that publishes its message.
        """
        self.app.tasks[CHORD_UNLOCK].apply_async(self.args, self.kwargs, producer=producer, **self.options)


class _Note:
    """Stands for a backend, for its app and for the task: it notes the call that Celery makes."""

    unlock: Unlock

    def __init__(self, app: Celery) -> None:
        self._sender = app
        self.app = self
        self.amqp = app.amqp
        self.tasks = {CHORD_UNLOCK: self}

    def apply_async(self, args: tuple[Any, ...], kwargs: dict[str, Any], **options: Any) -> None:
        self.unlock = Unlock(self._sender, args, kwargs, options)


def unlock_of(app: Celery, header: Any, body: Any, **options: Any) -> Unlock:
    """Make the call of ``celery.chord_unlock`` for a chord, and do not send it.

    It uses the method ``BaseBackend.fallback_chord_unlock``, which would send it at once.

    :param app: the app that sends the chord.
    :param header: the results of the header, as a `celery.result.GroupResult`.
    :param body: the signature of the body.
    :param options: the other arguments of ``apply_chord``.
    """
    note = _Note(app)
    BaseBackend.fallback_chord_unlock(note, header, body, **options)
    return note.unlock


def tell_backend(results: Iterable[Any], backend: type) -> bool:
    """Tell whether Celery tells a backend of each of these tasks when it was sent.

    It uses the class ``celery.result.AsyncResult``, whose ``then`` calls ``backend.add_pending_result``. Celery
    calls that for each task of a group. The result of a chain that ends in a group is no such result, and that of a
    task with a backend of its own tells that one.

    :param results: the results of the tasks.
    :param backend: the class of the backend.
    """
    return all(isinstance(result, AsyncResult) and isinstance(result.backend, backend) for result in results)
