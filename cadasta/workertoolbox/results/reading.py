"""Read results without running anything that is in them."""

import sys
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.exceptions import TaskPredicate

from ..errors import UnreadableResult
from ..seams.celery_database import are_results, deserialised, stand_in

_PICKLE = 'application/x-python-serialize'
_JSON = 'application/json'


def decoded(payload: Any, content_type: str, content_encoding: str, accept: Any) -> Any:
    """Decode what is stored, and never unpickle it, whatever the app accepts.

    Whoever may store a result could otherwise run code in every process that reads it.

    :param payload: what is stored.
    :param content_type: what the app's serializer makes.
    :param content_encoding: the encoding of it.
    :param accept: the content types that the app reads.
    :raises UnreadableResult: where it is a pickle, or nothing that can be read.

    >>> decoded(b'[1, 2]', 'application/json', 'utf-8', None)
    [1, 2]
    """
    if payload is None:
        return None
    if content_type == _PICKLE:
        # An app that writes pickles still reads what workers with another serializer have stored.
        content_type, content_encoding, accept = _JSON, 'utf-8', {_JSON}
    try:
        return deserialised(payload, content_type, content_encoding, accept)
    except Exception as error:
        raise UnreadableResult(
            'A stored result is a pickle, or nothing that can be read. Pickles are never loaded: whoever may store a '
            "result could run code here. Let all workers use result_serializer='json'."
        ) from error


def checked(state: dict[str, Any], app: Celery) -> dict[str, Any]:
    """Give a state that was read, if Celery can go on with it.

    :param state: the state of a task, as the backend has read it.
    :param app: the app.
    :raises UnreadableResult: where Celery cannot read the children of the task.
    """
    if not are_results(state.get('children'), app):
        raise UnreadableResult(f'The children that are stored for a task are none: {state["children"]!r:.200}')
    return state


def exception(make: Callable[[Any], Any], stored: Any) -> Any:
    """Make the exception that a stored result claims to be; a stand-in where it is none that a task may fail with.

    :param make: makes the exception; Celery's own, which makes `SystemExit` as well, and calls what a module offers for
        names that it does not have, which may import another module.
    :param stored: the result, as `Backend.prepare_exception` writes it.
    :raises UnreadableResult: where it describes no exception.
    """
    if not stored or isinstance(stored, BaseException):
        return make(stored)
    try:
        described = dict(stored)
        if described.get('exc_module') is not None and not _is_loaded(described):
            # Celery makes an exception of that name.
            described['exc_module'] = ''
        made = make(described)
    except Exception as error:
        raise UnreadableResult(f'A stored result should be an exception, and describes none: {error!r:.200}') from error
    # By the others, and by their own kinds of exceptions, Python and Celery tell a process or a worker what to do.
    return made if isinstance(made, Exception) and not isinstance(made, TaskPredicate | MemoryError) else stand_in(made)


def _is_loaded(described: dict[str, Any]) -> bool:
    found: Any = sys.modules.get(described['exc_module'])
    for name in described['exc_type'].split('.'):
        found = getattr(found, '__dict__', {}).get(name)
    return found is not None
