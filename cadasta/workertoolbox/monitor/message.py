"""A message of the platform queue, in one form for all brokers."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..database.values import plain
from .nesting import shallow

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
    :param problem: the reason why nobody can read the envelope; then the body is the whole message.
    """

    receipt: Any
    body: bytes
    headers: Mapping[Any, Any] = {}
    properties: Mapping[str, Any] = {}
    routing_key: str | None = None
    problem: str | None = None


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
    data = raw.encode('utf-8', 'surrogatepass') if isinstance(raw, str) else raw
    envelope = data.strip()
    if not envelope.startswith(b'{'):
        try:
            envelope = base64.b64decode(envelope, validate=True)
        except ValueError as error:
            return Message(receipt, data, problem=f'the envelope is not base64: {error}')
    try:
        payload = json.loads(shallow(envelope.decode()))
    except ValueError as error:
        return Message(receipt, data, problem=f'the envelope is not JSON: {error}')
    try:
        return from_payload(receipt, payload)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return Message(receipt, data, problem=f'the envelope is not that of a message: {error!r}')


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


def whole(message: Message) -> bytes:
    """Write a message down whole, with the envelope of kombu's virtual transports.

    :param message: the message.
    :returns: JSON from which it can be published again. Two copies of one message give the same JSON.
    """
    if message.problem is not None:
        return message.body
    properties = dict(message.properties)
    return json.dumps(
        {
            'body': base64.b64encode(message.body).decode(),
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
