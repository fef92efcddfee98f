"""Make messages of the rows of an outbox."""

from typing import Any

from celery.exceptions import QueueNotFound
from kombu.utils.json import loads

from ..errors import ToolboxError
from ..publishing.collecting import Message
from ..signals import group_message
from ..topology import Topology


class NeverPublished(ToolboxError):  # noqa: N818  # its row or the broker is at fault
    """A message can never be published. The text says why."""


def message_of(row: Any, topology: Topology) -> Message:
    """Make the message of a row.

    :param row: the row. A producer wrote it, and nobody has looked at it.
    :param topology: the topology of the relay's app.
    :raises NeverPublished: where the row has none, or no work queue serves its routing key.
    """
    headers, properties = _object('headers', row.headers), _object('properties', row.properties)
    try:
        declaration = topology.declaration(row.name, row.routing_key)
    except QueueNotFound as error:
        # It is a KeyError, whose text is in quotes.
        raise NeverPublished(error.args[0]) from None
    if declaration.grouped:
        properties.setdefault('correlation_id', row.task_id)
        group_message(headers, properties, declaration.fair)
    options = {
        **properties,
        'exchange': topology.exchange,
        'routing_key': row.routing_key,
        'declare': [declaration],
        'headers': headers,
        # The body is serialized and compressed.
        'serializer': None,
        'compression': None,
    }
    return Message(bytes(row.body), options)


def _object(what: str, text: str) -> dict[str, Any]:
    try:
        values = loads(text)
    except (TypeError, ValueError) as error:
        raise NeverPublished(f'Its {what} cannot be read: {error}') from None
    if not isinstance(values, dict):
        raise NeverPublished(f'Its {what} are no object')
    return values
