"""Make the message of a task again from its row: the body as it was, the headers from the columns and the options."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..architecture import SENT
from ..database.values import aware
from ..errors import ToolboxError, Unreadable
from ..monitor.body import load

# All others among the options are headers. AMQP has no more properties, and Amazon SQS has those of the last line.
_PROPERTIES = frozenset(
    (
        *('content_type', 'content_encoding', 'delivery_mode', 'priority', 'correlation_id', 'reply_to'),
        *('message_id', 'timestamp', 'type', 'user_id', 'app_id', 'cluster_id', 'expiration'),
        *('MessageGroupId', 'MessageDeduplicationId', 'DelaySeconds', 'message_attributes'),
    )
)
# The body has these, and the monitor copies them into the options.
_EMBEDDED = frozenset(('callbacks', 'errbacks', 'chain', 'chord'))
# Celery sends these headers even where they say nothing.
_ALWAYS = dict.fromkeys(('shadow', 'group_index', 'stamped_headers', 'ignore_result'))
# These show the arguments to people. PostgreSQL has no NUL, and an empty box takes its place.
_SHOWN = ('argsrepr', 'kwargsrepr')
# PostgreSQL has no such numbers: the monitor writes them as text.
_NO_NUMBERS = ('nan', 'inf', '-inf')
# PostgreSQL does not tell a whole number of this size from a number with a fraction.
_LARGE = 10**16


class NotSendable(ToolboxError):  # noqa: N818  # its row is at fault
    """A task cannot be sent again. The text says why."""


class Rebuilt(NamedTuple):
    """A message as it was.

    :param body: the body, serialized and compressed.
    :param headers: the headers.
    :param properties: the properties.
    """

    body: bytes
    headers: dict[str, Any]
    properties: dict[str, Any]


def rebuilt(row: Any) -> Rebuilt:
    """Make the message of a task again.

    :param row: the row of the Task table.
    :returns: the message.
    :raises NotSendable: where the row does not have the whole message.
    """
    if row.body is None:
        raise NotSendable(
            'its row has no body: it was stored with --no-arguments, or by a monitor of version 1.0. Send the task '
            'anew from your code'
        )
    options = dict(row.options)
    shadowed = options.pop('properties', {})
    given = {name: value for name, value in options.items() if name not in _EMBEDDED}
    headers = {name: value for name, value in given.items() if name not in _PROPERTIES or name in shadowed}
    properties = {name: value for name, value in given.items() if name in _PROPERTIES} | shadowed
    try:
        body = load(row.body, headers, properties)
    except Unreadable as error:
        raise NotSendable(f'its body cannot be read: {error}') from None
    if not isinstance(body, list):
        raise NotSendable("its message is of Celery's first protocol")
    changed = sorted(name for name, value in (headers | properties).items() if not _is_as_it_was(name, value))
    if changed:
        raise NotSendable(f'the database may have changed its headers {", ".join(changed)}: send the task anew')
    columns = {
        'task': row.name,
        'id': row.task_id,
        'root_id': row.root_id,
        'parent_id': row.parent_id,
        'group': row.group_id,
        'eta': _text(row.eta),
        'expires': _text(row.expires),
        'retries': row.retries,
        'timelimit': row.timelimit,
        'origin': row.origin,
    }
    sent = {SENT: _text(row.sent)} if row.sent is not None else {}
    return Rebuilt(
        bytes(row.body), {**_ALWAYS, **headers, **columns, **sent}, {'correlation_id': row.task_id, **properties}
    )


def _is_as_it_was(name: str, value: Any) -> bool:
    """Tell whether the monitor and the database have kept a value."""
    if name in _SHOWN:
        return True
    for part in _parts(value):
        if isinstance(part, str) and ('\ufffd' in part or part in _NO_NUMBERS):
            return False
        if isinstance(part, int) and abs(part) >= _LARGE:
            return False
    return True


def _parts(value: Any) -> Iterator[Any]:
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping):
            stack += [*part, *part.values()]
        elif isinstance(part, list):
            stack += part
        else:
            yield part


def _text(time: datetime | None) -> str | None:
    return None if time is None else aware(time).isoformat()
