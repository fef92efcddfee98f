"""Read results without running anything that is in them."""

from collections.abc import Callable
from typing import Any

from ..errors import UnreadableResult
from ..seams.celery_database import deserialised, stand_in

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


def exception(make: Callable[[Any], Any], stored: Any) -> Any:
    """Make the exception that a stored result claims to be; a stand-in where it is none that a task may raise.

    :param make: makes the exception; Celery's own, which makes `SystemExit` as well.
    :param stored: the result, as `Backend.prepare_exception` writes it.
    """
    made = make(stored)
    if isinstance(made, BaseException) and not isinstance(made, Exception):
        return stand_in(made)
    return made
