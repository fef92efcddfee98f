"""A message of the platform queue, in one form for all brokers."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..database.values import plain
from .bounds import KEPT, MAX_BODY, MAX_ENVELOPE, MAX_HEADERS, at_most, bounded_envelope

_BODY_ENCODING = 'body_encoding'
# A transport needs these to deliver a message. They differ between two copies of one message.
_DELIVERY = frozenset(['delivery_tag', 'delivery_info', _BODY_ENCODING, 'application_headers'])


class Message(NamedTuple):
    """A message whose body nobody has read yet.

    :param receipt: what the source acknowledges the message by.
    :param body: the body, as the producer serialized and compressed it.
    :param headers: the headers.
    :param properties: the properties, except those that only the transport needs.
    :param routing_key: the routing key that the message was published with.
    :param problem: the reason why nobody can read the message; then the body is the whole message, or its beginning.
    :param memory: the bytes of memory that it may need.
    """

    receipt: Any
    body: bytes
    headers: Mapping[Any, Any] = {}
    properties: Mapping[str, Any] = {}
    routing_key: str | None = None
    problem: str | None = None
    memory: int = 0


def too_long(size: int) -> str:
    """Say why a message is cut off.

    :param size: its size, in bytes.
    """
    return f'the message has {size} bytes, and at most {MAX_BODY} are read: its first {KEPT} bytes are kept'


def from_envelope(receipt: Any, raw: bytes | str) -> Message:
    """Read the envelope, JSON or JSON in base64, that kombu's virtual transports put around a message.

    :param receipt: what the source acknowledges the message by.
    :param raw: the content of the queue, which may be anything. The message says what is wrong with it.
    :returns: the message.

    >>> raw = '{"body": "e30=", "content-type": "application/json", "properties": {"body_encoding": "base64"}}'
    >>> from_envelope(1, raw).body
    b'{}'
    >>> from_envelope(1, 'hello').problem.partition(':')[0]
    'the envelope is not base64'
    """
    data = _encoded(raw)
    if len(data) > MAX_ENVELOPE:
        return cut_off(receipt, data, len(data))
    message = _read(receipt, data)
    # The source keeps the envelope as well, to acknowledge it.
    return message._replace(memory=_memory(data))


def packed(receipt: Any, raw: str) -> Message:
    """Keep an envelope that nobody has read yet.

    :param receipt: what the source acknowledges the message by.
    :param raw: the content of the queue.
    :returns: a message whose body is the envelope. It knows the memory that the envelope may need when it is read.

    >>> packed(1, '{}')
    Message(receipt=1, body=b'{}', headers={}, properties={}, routing_key=None, problem=None, memory=138)
    """
    data = _encoded(raw)
    return Message(receipt, data, memory=_memory(data))


def cut_off(receipt: Any, data: bytes, size: int) -> Message:
    """Make a message of what is too long to be read.

    :param receipt: what the source acknowledges the message by.
    :param data: the message, or its beginning.
    :param size: its size, in bytes.
    """
    return Message(receipt, data[:KEPT], problem=too_long(size), memory=KEPT)


def _encoded(raw: bytes | str) -> bytes:
    return raw.encode('utf-8', 'surrogatepass') if isinstance(raw, str) else raw


def _memory(data: bytes) -> int:
    return len(data) + at_most(data)


def _read(receipt: Any, data: bytes) -> Message:
    envelope = data.strip()
    if not envelope.startswith(b'{'):
        try:
            envelope = base64.b64decode(envelope, validate=True)
        except ValueError as error:
            return Message(receipt, data, problem=f'the envelope is not base64: {error}')
    try:
        payload = json.loads(bounded_envelope(envelope))
    except ValueError as error:
        return Message(receipt, data, problem=f'the envelope is not JSON that can be read: {error}')
    try:
        return _within_bounds(from_payload(receipt, payload), len(envelope), payload, data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return Message(receipt, data, problem=f'the envelope is not that of a message: {error!r}')


def _within_bounds(message: Message, size: int, payload: Mapping[str, Any], data: bytes) -> Message:
    body = payload.get('body')
    headers = size - len(body) if isinstance(body, str) else size
    if headers <= MAX_HEADERS:
        return message
    problem = f'its headers and properties have {headers} bytes, and at most {MAX_HEADERS} are read'
    return Message(message.receipt, data, problem=problem)


def from_payload(receipt: Any, payload: Mapping[str, Any]) -> Message:
    """Read an envelope that somebody has parsed.

    :param receipt: what the source acknowledges the message by.
    :param payload: the envelope, as kombu's virtual transports make it.
    :returns: the message.
    :raises AttributeError, KeyError, TypeError, ValueError: where it is no such envelope.
    """
    properties = payload['properties']
    delivery = properties.get('delivery_info') or {}
    return Message(
        receipt,
        _body(payload.get('body') or '', properties.get(_BODY_ENCODING)),
        dict((payload.get('headers') or {}).items()),
        {
            'content_type': payload.get('content-type'),
            'content_encoding': payload.get('content-encoding'),
            **{name: value for name, value in properties.items() if name not in _DELIVERY},
        },
        delivery.get('routing_key'),
    )


def whole(message: Message, body: bool = True) -> bytes:
    """Write a message down whole, with the envelope of kombu's virtual transports.

    :param message: the message.
    :param body: whether to write down its body.
    :returns: JSON from which it can be published again. Two copies of one message give the same JSON. Of a message that
        nobody can read, there are only the bytes.

    >>> whole(Message(1, b'[]', routing_key='export'), body=False)
    b'{"content-encoding": null, "content-type": null, "headers": {}, "properties": {"body_encoding": "base64", \
"delivery_info": {"routing_key": "export"}}}'
    """
    if message.problem is not None:
        return message.body if body else b''
    properties = dict(message.properties)
    rest = json.dumps(
        {
            'content-type': properties.pop('content_type', None),
            'content-encoding': properties.pop('content_encoding', None),
            # A transport adds this header when it delivers a message again.
            'headers': {name: value for name, value in _named(message.headers).items() if name != 'redelivered'},
            'properties': {
                **properties,
                _BODY_ENCODING: 'base64',
                'delivery_info': {'routing_key': message.routing_key},
            },
        },
        default=plain,
        sort_keys=True,
    ).encode()
    # A body of megabytes is copied once.
    return b''.join([b'{"body": "', base64.b64encode(message.body), b'", ', rest[1:]]) if body else rest


def _named(table: Mapping[Any, Any]) -> dict[str, Any]:
    # AMQP allows names that are no text, and more levels than a recursion survives. So a loop renames the inner ones in
    # place.
    copy: dict[Any, Any] = dict(table)
    containers: list[Any] = [copy]
    while containers:
        container = containers.pop()
        if isinstance(container, dict):
            for name in [name for name in container if not isinstance(name, str)]:
                container[str(plain(name))] = container.pop(name)
            containers += container.values()
        elif isinstance(container, list):
            containers += container
    return copy


def _body(body: Any, encoding: Any) -> bytes:
    if isinstance(body, str):
        return base64.b64decode(body) if encoding == 'base64' else body.encode('utf-8', 'surrogatepass')
    # A producer that does not use kombu may put JSON where the text of a body belongs.
    return json.dumps(body).encode()
