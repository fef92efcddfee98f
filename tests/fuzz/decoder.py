"""Whatever a broker delivers becomes a row that both databases take, or is kept as it came: nothing else happens."""

from __future__ import annotations

import base64
import bz2
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from amqp.basic_message import Message as AMQPMessage
from amqp.serialization import decode_properties_basic, dumps, loads

from cadasta.workertoolbox.database.connection import engine
from cadasta.workertoolbox.database.tables import rejected, task
from cadasta.workertoolbox.errors import Unreadable
from cadasta.workertoolbox.monitor import upgrade
from cadasta.workertoolbox.monitor.decode import decode
from cadasta.workertoolbox.monitor.message import Message, from_envelope, whole
from cadasta.workertoolbox.monitor.store import Store, Stored

from ..monitor.messages import first_protocol, message

#: The input for the two brokers that do not deliver envelopes in bytes starts with this.
RABBITMQ, SQS = b'R', b'S'


def to_rabbitmq(item: Message) -> bytes:
    """Write down what RabbitMQ sends to deliver a message: its routing key, its properties and its body."""
    content = AMQPMessage(application_headers=dict(item.headers), **item.properties)
    return b''.join([RABBITMQ, dumps('s', [item.routing_key]), content._serialize_properties(), item.body])


def from_rabbitmq(data: bytes) -> Message | None:
    """Read what RabbitMQ sends; None where its client library cannot, so that no message comes to the monitor."""
    try:
        (routing_key,), offset = loads('s', data, 0)
        properties, offset = decode_properties_basic(data, offset)
    except Exception:
        return None
    return Message(1, data[offset:], properties.pop('application_headers', None) or {}, properties, routing_key)


def delivered(data: bytes) -> Message | None:
    """Read an input as the broker that it is for would deliver it."""
    if data.startswith(RABBITMQ):
        return from_rabbitmq(data[1:])
    if data.startswith(SQS):
        return from_envelope(1, data[1:].decode('utf-8', 'replace'))
    return from_envelope(1, data)


def seeds() -> Iterator[bytes]:
    """Give what Celery makes of tasks of all kinds, for each broker."""
    for item in [
        message('1', 'export.project', 7, 'é\U0001f600', kwargs={'a': [None, 1.5]}),
        message('2', eta=datetime(2030, 1, 1), expires=datetime(2030, 2, 1), retries=3, time_limit=20, group_id='g'),
        message('3', callbacks=[{'task': 'msg.send'}], chord={'task': 'export.zip'}, shadow='nice'),
        message('4', headers={'tenant': {'a': [1]}, 'priority': 'high'}, properties={'priority': 5}),
        message('5', body=b'\x80\x04N.', properties={'content_type': 'application/x-pickle'}),
        first_protocol('6', 'export.project', 7, kwargs={'a': 1}, retries=2, group_id='g'),
    ]:
        yield whole(item)
        yield SQS + base64.b64encode(whole(item))
        yield to_rabbitmq(item)
    yield whole(message('7', headers={'compression': 'application/x-gzip'}, body=zlib.compress(b'[[7], {}, {}]')))
    yield whole(message('8', headers={'compression': 'application/x-bz2'}, body=bz2.compress(b'[[7], {}, {}]')))


@contextmanager
def target() -> Iterator[Callable[[bytes], None]]:
    """Open a database in memory, and give the function that takes an input."""
    url = 'sqlite:///file:fuzz?mode=memory&cache=shared&uri=true'
    # It lasts as long as there is a connection to it.
    with engine(url).connect() as connection:
        upgrade(url)
        with Store(url) as store, Store(url, arguments=False) as without_arguments:
            yield partial(check, [store, without_arguments], connection)


def check(stores: list[Store], connection: sa.Connection, data: bytes) -> None:
    item = delivered(data)
    if item is None:
        return
    for store in stores:
        stored = store.write([item])
        try:
            row = decode(item, store.arguments)
        except Unreadable:
            assert stored == Stored(0, 1)
            check_rejected(item, connection.execute(sa.select(rejected)).one(), store.arguments)
        else:
            assert stored == Stored(1, 0)
            check_row(row.text, connection.execute(sa.select(task)).one())
        for table in (task, rejected):
            connection.execute(sa.delete(table))
        connection.commit()


def check_row(text: str, row: Any) -> None:
    """SQLite's row says what PostgreSQL would be given, in JSON that PostgreSQL takes."""
    for name, value in json.loads(text, parse_constant=not_json).items():
        kept = getattr(row, name)
        assert kept == _bytes(value) if isinstance(kept, bytes) else _written(kept) == value, name
    assert '\\u0000' not in text.replace('\\\\', '')
    assert text.encode()


def _bytes(text: str) -> bytes:
    """Read bytes as PostgreSQL does."""
    if text.startswith(r'\x'):
        return bytes.fromhex(text[2:])
    return re.sub(r'\\(.)', r'\1', text, flags=re.DOTALL).encode('ascii')


def _written(kept: Any) -> Any:
    return kept.isoformat() + '+00:00' if isinstance(kept, datetime) else kept


def not_json(constant: str) -> None:
    raise AssertionError(f'{constant} is no JSON')


def check_rejected(item: Message, row: Any, has_arguments: bool) -> None:
    """A rejected message is there, whole, and can be published again; or without its body, if it has arguments."""
    assert row.message == whole(item, has_arguments)
    if item.problem is None:
        again = from_envelope(1, row.message)
        assert (again.problem, again.routing_key) == (None, item.routing_key)
        assert again.body == (item.body if has_arguments else b'')
        assert whole(again, has_arguments) == row.message
