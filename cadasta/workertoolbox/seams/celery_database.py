"""Celery: how the database backend stores, reads and repeats."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from celery import Celery
from celery.backends.base import decompress_payload
from celery.backends.database import DatabaseBackend
from celery.result import result_from_tuple
from celery.utils.serialization import create_exception_cls
from kombu.serialization import loads


class OpenBackend(DatabaseBackend):
    """Celery's database backend with a method to override for each of its private ones that matter here.

    It replaces ``_decode_stored_result``, ``_ensure_retryable``, ``_get_result_meta``, ``_get_task_meta_for``,
    ``_sleep`` and ``_store_result``. Celery has no public way to change one statement, or to end a wait for the
    database.
    """

    def retried(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function, and again for as long as the database is away, if the app wants it so.

        :param options: ``fallback_exc`` and ``fallback_msg`` of what is raised in the end; all others go to `function`.
        """
        return super()._ensure_retryable(function, *args, **options)

    def pause(self, seconds: float) -> None:
        """Wait between two calls of a function by `retried`."""
        super()._sleep(seconds)

    def store_state(self, task_id: str, result: Any, state: str, **options: Any) -> None:
        """Store a state of a task once, with ``traceback`` and ``request`` among the options."""
        super()._store_result(task_id, result, state, **options)

    def values(self, result: Any, state: str, traceback: str | None, request: Any) -> dict[str, Any]:
        """Compute what the columns of Celery's table hold for a state.

        :returns: the values by the names of their columns.
        """
        row = SimpleNamespace(children=None, stamps=None)
        self._update_result(row, result, state, traceback=traceback, request=request)
        return vars(row)

    def described(self, **options: Any) -> dict[str, Any]:
        """Describe a state of a task, as Celery stores it."""
        meta: dict[str, Any] = super()._get_result_meta(**options)
        return meta

    def read_state(self, task_id: str) -> dict[str, Any]:
        """Read the state of a task once."""
        meta: dict[str, Any] = super()._get_task_meta_for(task_id)
        return meta

    def _ensure_retryable(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self.retried(function, *args, **options)

    def _sleep(self, amount: float) -> None:
        self.pause(amount)

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, **options: Any
    ) -> None:
        self.store_state(task_id, result, state, traceback=traceback, **options)

    def _get_result_meta(self, **options: Any) -> dict[str, Any]:
        return self.described(**options)

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        return self.read_state(task_id)

    def _decode_stored_result(self, payload: Any) -> Any:
        # Celery would unpickle what it cannot decode.
        return self.decode(payload)


def deserialised(payload: Any, content_type: str, content_encoding: str, accept: Any) -> Any:
    """Decompress and decode what a backend has stored.

    It uses ``decompress_payload``, which the backend calls for a column that may be compressed.

    :param payload: what is stored, as bytes or text.
    :param content_type: the content type of the app's serializer.
    :param content_encoding: its encoding.
    :param accept: the content types that may be decoded; `None` for all that kombu enables.
    """
    payload = payload.encode() if isinstance(payload, str) else payload
    return loads(decompress_payload(payload), content_type, content_encoding, accept=accept)


def was_not_sent(request: Any) -> bool:
    """Tell whether a request is that of a task which was to follow one that failed, and is failed with it.

    It uses ``Backend._fail_chain``, which makes such a request of the task's signature. A signature has a
    ``subtask_type``, and a message has none.

    :param request: the request of a state that is stored.
    """
    return hasattr(request, 'subtask_type')


def stand_in(error: BaseException) -> Exception:
    """Make an exception that is called like another, and has its arguments, and is an `Exception`.

    It uses ``create_exception_cls``, by which Celery makes an exception whose class cannot be imported.

    :param error: the exception to replace.
    """
    made: Exception = create_exception_cls(type(error).__name__, type(error).__module__)(*error.args)
    return made


def are_results(children: Any, app: Celery) -> bool:
    """Tell whether Celery can read what is stored as the children of a task.

    It uses ``result_from_tuple``, by which Celery reads them, and which it lists among its internals.

    :param children: what is stored, decoded.
    :param app: the app.
    """
    try:
        for child in children or ():
            result_from_tuple(child, app)
    except Exception:
        return False
    return True
