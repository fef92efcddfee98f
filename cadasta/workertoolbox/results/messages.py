"""A message that a stranger sends neither stops a worker nor runs without a claim.

Celery looks at little of what a message says before it relies on it. A worker ends, for example, if a message has no
id, or a body that is no list. The broker then gives the message to the next worker.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from celery import bootsteps, signals
from celery.exceptions import InvalidTaskError

from ..architecture import ID_LENGTH
from ..database.values import is_task_id
from ..seams.celery_pool import is_reserved
from ..seams.celery_tasks import bare_request
from ..seams.celery_worker import wrap_handler
from ..seams.kombu_messages import mend_messages

logger = logging.getLogger(__name__)

# The largest number that the columns of a claim can hold.
_MOST = 2**31 - 1
# A body that has these as well would replace what the headers say, after the worker has read them.
_HEADERS_ALONE = frozenset(
    (
        *('id', 'task', 'retries', 'replaced_task_nesting', 'ignore_result', 'timelimit'),
        *('delivery_info', 'properties', '_children'),
    )
)


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value <= _MOST)


def _is_limit(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _are_limits(value: Any) -> bool:
    hard_and_soft = 2
    return not value or (_is_list(value) and len(value) == hard_and_soft and all(map(_is_limit, value)))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


_HEADERS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ('id', is_task_id, f'text of 1 to {ID_LENGTH} characters, without NUL'),
    ('task', lambda value: isinstance(value, str), 'text'),
    ('retries', _is_count, f'a whole number from 0 to {_MOST}'),
    ('replaced_task_nesting', _is_count, f'a whole number from 0 to {_MOST}'),
    ('timelimit', _are_limits, 'two numbers'),
    ('stamped_headers', lambda value: not value or _is_list(value), 'a list'),
    ('stamps', lambda value: not value or _is_mapping(value), 'a mapping'),
    ('_children', lambda value: value is None, 'left out'),
)
_PARTS = ('args', 'kwargs', 'embed')
_BODY: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ('args', _is_list, 'a list'),
    ('kwargs', _is_mapping, 'a mapping'),
    ('embed', lambda value: not value or _is_mapping(value), 'a mapping'),
    ('embed', lambda value: not (_is_mapping(value) and _HEADERS_ALONE & value.keys()), 'without what headers say'),
)


class Readable(bootsteps.StartStopStep):
    """A step of a consumer: it keeps from Celery what would stop the worker."""

    requires = ('celery.worker.consumer.tasks:Tasks',)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        wrap_handler(consumer, lambda handle: _guarded(consumer, handle))
        signals.task_rejected.connect(_store, sender=consumer)

    def start(self, consumer: Any) -> None:
        """Let the present channel mend what it gets. A worker opens another after each loss of the connection."""
        mend_messages(consumer.task_consumer.channel, mended, _complain)


def mended(envelope: Any) -> dict[str, Any]:
    """Mend what a broker has, so that kombu can make a message of it, which Celery then rejects.

    :param envelope: headers, properties and body, if somebody has written them with kombu.

    >>> mended({'headers': 5, 'properties': {'delivery_tag': '1', 'delivery_info': 5}})['properties']
    {'delivery_tag': '1', 'delivery_info': {'exchange': '', 'routing_key': ''}}
    """
    envelope = _mapping(envelope)
    properties = _mapping(envelope.get('properties'))
    tag = properties.get('delivery_tag')
    return {
        **envelope,
        'headers': _mapping(envelope.get('headers')),
        'properties': {
            **properties,
            'delivery_tag': tag if isinstance(tag, str | int) else str(uuid.uuid4()),
            'delivery_info': {'exchange': '', 'routing_key': '', **_mapping(properties.get('delivery_info'))},
        },
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _complain(error: Exception) -> None:
    logger.error('The broker has a message that is no task: %s', error)


def _guarded(consumer: Any, handle: Callable[[Any], None]) -> Callable[[Any], None]:
    def on_message(message: Any) -> None:
        fields, body = _parts(message)
        why = None if fields is None else fault(fields, body)
        if why is not None:
            _refuse(consumer, message, fields, why)
            return
        try:
            handle(message)
        except (*consumer.connection_errors, *consumer.channel_errors, MemoryError):
            raise
        except Exception as error:
            if fields is not None and is_reserved(fields['id']):
                raise
            _refuse(consumer, message, fields, f'Celery cannot read its message: {error!r:.200}')

    return on_message


def _parts(message: Any) -> tuple[Any, Any]:
    """Take a message apart into its headers and body; there are none where Celery itself says what is wrong."""
    headers = message.headers
    if not _is_mapping(headers):
        return None, None
    try:
        payload = message.payload
    except Exception as error:
        payload = error
    # The first protocol of Celery has all in its body. Some producers send headers with such a body.
    has_all = _is_mapping(payload) and ('args' in payload or 'task' not in headers)
    fields = ({**payload, **headers} if 'task' in headers else payload) if has_all else headers
    if 'task' not in fields:
        return None, None
    return fields, (fields.get('args', ()), fields.get('kwargs', {}), None) if has_all else payload


def fault(fields: Mapping[str, Any], body: Any) -> str | None:
    """Say what is wrong with a message; `None` where Celery can read it.

    :param fields: its headers.
    :param body: its arguments, its keyword arguments, and what Celery does when its task has ended; or the error that
        decoding it raised.

    >>> fault({'id': '1', 'task': 'export.project', 'retries': -1}, ([], {}, None))
    'its retries is -1, and must be a whole number from 0 to 2147483647'
    """
    if isinstance(body, Exception):
        return f'its body cannot be decoded: {body!r:.200}'
    if not _is_list(body) or len(body) != len(_PARTS):
        return f'its body is {body!r:.200}, and must be a list of {", ".join(_PARTS)}'
    for checks, values in ((_HEADERS, fields), (_BODY, dict(zip(_PARTS, body, strict=True)))):
        for name, is_right, what in checks:
            if not is_right(values.get(name)):
                return f'its {name} is {values.get(name)!r:.200}, and must be {what}'
    return None


def _refuse(consumer: Any, message: Any, fields: Mapping[str, Any] | None, why: str) -> None:
    """Reject a message as Celery does."""
    fields = fields or {}
    logger.error('Task %.200s[%.200s] is not run: %s', fields.get('task'), fields.get('id'), why)
    message.reject_log_error(logger, consumer.connection_errors)
    signals.task_rejected.send(sender=consumer, message=message, exc=InvalidTaskError(why))


def _store(sender: Any, message: Any, exc: Exception | None, **kwargs: Any) -> None:
    """Store why a message was rejected, by Celery or above, if it has an id that a table can hold."""
    fields, _ = _parts(message)
    task_id = (fields or {}).get('id')
    if exc is not None and is_task_id(task_id):
        sender.app.backend.mark_as_failure(task_id, exc, request=bare_request(task_id))
