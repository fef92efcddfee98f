"""Make a row of the Task table from a message."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..architecture import ID_LENGTH, SENT
from ..database.values import plain
from ..errors import Unreadable
from .body import load
from .bounds import shallow
from .message import Message
from .shown import shown

# A larger body needs less memory outside of the JSON, in bytes.
_LARGE_BODY = 2**20
_MAX_INTEGER = 2**31 - 1
# Headers that have a column, and the one that a transport adds to a message that it delivers again.
_COLUMN_HEADERS = frozenset(
    [
        'id',
        'task',
        'root_id',
        'parent_id',
        'group',
        'eta',
        'expires',
        'retries',
        'timelimit',
        'origin',
        'redelivered',
    ]
)
_FIRST_PROTOCOL = frozenset(
    ['task', 'id', 'args', 'kwargs', 'group', 'taskset', 'retries', 'eta', 'expires', 'utc', 'timelimit']
)
_IDS = ('task_id', 'root_id', 'parent_id', 'group_id')
# Times and bytes are no text.
_UNCLEANED = frozenset(['eta', 'expires', 'sent', 'body'])

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=plain, separators=(',', ':')).encode


class TaskRow(NamedTuple):
    """A row of the Task table.

    :param task_id: the id of the task.
    :param version: orders the messages of one task: how often it was replaced, how often it was retried.
    :param values: the values by column.
    :param text: the values as JSON that PostgreSQL accepts.
    :param body: the body, where it is too large for this JSON.
    """

    task_id: str
    version: tuple[int, int]
    values: dict[str, Any]
    text: str
    body: bytes | None = None


def decode(message: Message, arguments: bool = True) -> TaskRow:
    """Make the row of a message.

    :param message: the message.
    :param arguments: whether to read the arguments from the body. Otherwise the row has the representations that the
        sender put into the headers, and nobody reads the body.
    :returns: the row.
    :raises Unreadable: where nobody can read the message as a task; the text says why.

    >>> headers = {'task': 'export.project', 'id': '1', 'root_id': '1', 'argsrepr': '(7,)'}
    >>> row = decode(Message(1, b'[[7], {}, {}]', headers, {'content_type': 'application/json'}, 'export'))
    >>> row.values['name'], row.values['args'], row.values['options']['argsrepr']
    ('export.project', [7], '(7,)')
    """
    if message.problem is not None:
        raise Unreadable(message.problem)
    values = (_second_protocol if 'task' in message.headers else _first_protocol)(message, arguments)
    values['routing_key'] = _text('routing key', message.routing_key)
    values['sent'] = _sent(message.headers, values['options'])
    values['body'] = message.body if arguments else None
    version = (_count('replaced_task_nesting', values['options'].get('replaced_task_nesting')), values['retries'])
    try:
        return _row(values, version)
    except (RecursionError, ValueError) as error:
        raise Unreadable(f'the message cannot be stored: {error}') from None


def _second_protocol(message: Message, arguments: bool) -> dict[str, Any]:
    headers = message.headers
    values = _columns(headers, headers.get('group'))
    options = _options(message, values['task_id'])
    if arguments:
        values['args'], values['kwargs'], embedded = _second_protocol_body(message)
        options.update((name, value) for name, value in embedded.items() if value is not None)
    else:
        values['args'], values['kwargs'] = headers.get('argsrepr'), headers.get('kwargsrepr')
    values['options'] = options
    return values


def _second_protocol_body(message: Message) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    body = load(message.body, message.headers, message.properties)
    try:
        args, kwargs, embedded = body
    except (TypeError, ValueError):
        raise Unreadable('the body is not a list of args, kwargs and embedded signatures') from None
    if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embedded, dict)):
        raise Unreadable('the body does not hold a list of args, a dict of kwargs and a dict of embedded signatures')
    return args, kwargs, embedded


def _first_protocol(message: Message, arguments: bool) -> dict[str, Any]:
    body = load(message.body, message.headers, message.properties)
    if not isinstance(body, dict) or 'task' not in body:
        raise Unreadable('neither the headers nor the body name a task')
    values = _columns(body, body.get('group') or body.get('taskset'))
    options = _options(message, values['task_id'])
    if arguments:
        options.update(
            (name, value) for name, value in body.items() if name not in _FIRST_PROTOCOL and value is not None
        )
    values['args'] = body.get('args') if arguments else None
    values['kwargs'] = body.get('kwargs') if arguments else None
    values['options'] = options
    return values


def _columns(fields: Mapping[Any, Any], group_id: Any) -> dict[str, Any]:
    task_id = fields.get('id')
    if not task_id:
        raise Unreadable('the task has no id')
    name = fields['task']
    if not name:
        raise Unreadable('the task has no name')
    return {
        'task_id': _id('id', task_id),
        'name': _text('task', name),
        'root_id': _id('root_id', fields.get('root_id')),
        'parent_id': _id('parent_id', fields.get('parent_id')),
        'group_id': _id('group', group_id),
        'eta': _time('eta', fields.get('eta')),
        'expires': _time('expires', fields.get('expires')),
        'retries': _count('retries', fields.get('retries')),
        'timelimit': fields.get('timelimit'),
        'origin': _text('origin', fields.get('origin')),
    }


def _options(message: Message, task_id: str) -> dict[Any, Any]:
    headers, properties = message.headers, message.properties
    options = {name: value for name, value in properties.items() if value is not None}
    if options.get('correlation_id') == task_id:
        del options['correlation_id']
    shadowed = {name: options[name] for name in options.keys() & headers.keys()}
    options.update(
        (name, value) for name, value in headers.items() if value is not None and name not in _COLUMN_HEADERS
    )
    if shadowed:
        options['properties'] = shadowed
    return options


def _row(values: dict[str, Any], version: tuple[int, int]) -> TaskRow:
    body = values['body']
    is_large = body is not None and len(body) > _LARGE_BODY
    text = _clean_text(values, not is_large)
    if text is None:
        values = _cleaned_values(values)
        text = _encode(_with_text(values, not is_large))
    shallow(text)
    return TaskRow(values['task_id'], version, values, text, body if is_large else None)


def _clean_text(values: dict[str, Any], has_body: bool) -> str | None:
    """Write the values as JSON; `None` where PostgreSQL would refuse it."""
    try:
        text = _encode(_with_text(values, has_body))
        # PostgreSQL stores neither NUL nor half of a surrogate pair.
        return text if '\\u0000' not in text and (text.isascii() or text.encode()) else None
    except (TypeError, ValueError):
        return None


def _with_text(values: dict[str, Any], has_body: bool) -> dict[str, Any]:
    """Write the body as PostgreSQL reads bytes, because JSON has none: plainly if it can, in hexadecimal otherwise."""
    body = values['body']
    if body is None or not has_body:
        return {**values, 'body': None}
    is_plain = body.isascii() and b'\0' not in body
    return {**values, 'body': body.decode().replace('\\', r'\\') if is_plain else rf'\x{body.hex()}'}


def _cleaned_values(values: dict[str, Any]) -> dict[str, Any]:
    for name in _IDS:
        if values[name] is not None and _cleaned(values[name]) != values[name]:
            raise ValueError(f'the {name} {shown(values[name])} has characters that no id has')
    for name in values.keys() - _UNCLEANED:
        # Only one value is there twice at a time.
        values[name] = _cleaned(values[name])
    return values


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _cleaned_text(value)
    if isinstance(value, dict):
        return {
            _cleaned(key if isinstance(key, str) else str(plain(key))): _cleaned(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if abs(value) < float('inf') else str(value)
    return _cleaned(plain(value))


def _cleaned_text(text: str) -> str:
    text = text.replace('\0', '\ufffd')
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')
    return text


def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Unreadable(f'the {name} is {shown(value)}, not text')


def _id(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= ID_LENGTH):
        return value
    raise Unreadable(f'the {name} is {shown(value)}, not text of at most {ID_LENGTH} characters')


def _count(name: str, value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INTEGER:
        return value
    raise Unreadable(f'the number of {name} is {shown(value)}')


def _sent(headers: Mapping[Any, Any], options: dict[Any, Any]) -> datetime | None:
    """Take the time out of the options at which the producer sent the message. Another's header stays there."""
    try:
        sent = _time(SENT, headers.get(SENT))
    except Unreadable:
        return None
    options.pop(SENT, None)
    return sent


def _time(name: str, value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(f'{name} is {shown(value)}, not a time in ISO 8601') from None
