"""Read the error that a task raised from its result."""

import json
import re
from typing import Any, NamedTuple

from ..database.tables import RAISED
from .task import TrackedTask

_TYPE = re.compile(r'"exc_type": ?"([\w.]+)"')
_MESSAGE = re.compile(r'"exc_message": ?\[?"?(.*)', re.DOTALL)


class Raised(NamedTuple):
    """An error.

    :param kind: its class, with its module unless it is one of Python's own.
    :param message: its message.

    >>> print(Raised('KeyError', 'parcel 42'))
    KeyError: parcel 42
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return f'{self.kind}: {self.message}' if self.message else self.kind


def error_of(task: TrackedTask) -> Raised | None:
    """Read the error that a task raised last; `None` where its state or its result says nothing of one.

    >>> error_of(TrackedTask('1', 'SUCCESS', result=b'{"exc_type": "KeyError"}'))
    >>> print(error_of(TrackedTask('1', 'FAILURE', result=b'{"exc_type": "KeyError"}')))
    KeyError
    """
    return raised(task.result) if task.status in RAISED and task.result is not None else None


def raised(result: bytes) -> Raised | None:
    """Read an error from a result, or from the beginning of one.

    :param result: what is stored, which may be anything.
    :returns: the error; `None` where the result says nothing of one.

    >>> raised(b'{"exc_type": "KeyError", "exc_message": ["parcel 42"], "exc_module": "builtins"}')
    Raised(kind='KeyError', message='parcel 42')
    >>> raised(b'anything')
    """
    text = result.decode(errors='replace')
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError):
        # Somebody else's format, or a message so long that its end was not read.
        return _begun(text)
    if not isinstance(stored, dict) or not isinstance(stored.get('exc_type'), str):
        return None
    module = stored.get('exc_module')
    is_pythons = not isinstance(module, str) or module in ('', 'builtins')
    kind = stored['exc_type'] if is_pythons else f'{module}.{stored["exc_type"]}'
    return Raised(kind, _text(stored.get('exc_message')))


def _begun(text: str) -> Raised | None:
    kind, message = _TYPE.search(text), _MESSAGE.search(text)
    return Raised(kind[1], message[1] if message else '') if kind else None


def _text(message: Any) -> str:
    # Celery stores the arguments of an exception.
    parts = message if isinstance(message, list) else [message or '']
    return ', '.join(part if isinstance(part, str) else json.dumps(part) for part in parts)
