"""A message that is sent again equals the first one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import chain, chord, group
from celery.canvas import StampingVisitor

from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.sqs import SQSBroker

from .platform import AGE, Platform

NOW = datetime.now(UTC)


class Stamps(StampingVisitor):
    def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
        return {'tenant': 'Zürich', 'stamped_headers': ['tenant']}


def send_all(platform: Platform) -> None:
    """Sends a message of each kind."""
    app, send = platform.service.app, platform.service.send

    def signature(name: str, *args: Any, **options: Any) -> Any:
        return app.signature(f'once.{name}', args, app=app, **options)

    plain, total, fail = signature('plain'), signature('total'), signature('fail')
    send('plain', 'a\0b', -0.0, 1e300, 5e-324, 2**70, 'x' * 200_000, '\ud800')
    send('plain', float('nan'), float('inf'), {'z': 1, 'a': [None, True]})
    send('plain', 'x' * 5000, compression='gzip')
    send('plain', compression='bzip2', priority=7, link=[total], link_error=[fail, plain])
    send(
        'plain',
        headers={'customer': 42, 'priority': 'high', 'rate': 0.1, 'tags': ['a', 'b'], 'nested': {'a': None}},
        reply_to='me',
    )
    send('plain', eta=NOW - timedelta(hours=1), expires=NOW + timedelta(hours=1, microseconds=-NOW.microsecond))
    send('plain', retries=2, replaced_task_nesting=1, shadow='other', time_limit=60, soft_time_limit=30.5)
    stamped = signature('plain')
    stamped.stamp(Stamps())
    stamped.apply_async()
    chain(plain, group(plain, fail), total, chord([plain], total)).apply_async()
    chord([chain(plain, fail), plain], chain(total, plain)).apply_async()
    group(plain, plain).apply_async()


def raw(broker: Broker, queue: str) -> Iterator[tuple[Any, Any, bytes]]:
    """Takes all messages from a queue, and decodes nothing."""
    if isinstance(broker, SQSBroker):
        for message in broker.receive(queue):
            envelope = json.loads(base64.b64decode(message['Body']))
            group = message['Attributes'].get('MessageGroupId')
            yield envelope['headers'], {**_properties(envelope['properties']), 'group': group}, envelope['body']
        return
    with broker.connect() as connection, closing(connection.channel()) as channel:
        if hasattr(channel, 'auto_decode'):
            channel.auto_decode = False
        while message := channel.basic_get(queue, no_ack=True):
            yield dict(message.headers), _properties(message.properties), message.body


def _properties(properties: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what differs between two copies of a message, and what is looked at elsewhere."""
    return {name: value for name, value in properties.items() if name not in ('delivery_tag', 'application_headers')}


def by_id(messages: Iterator[tuple[Any, Any, bytes]]) -> dict[str, Any]:
    return {message[0]['id']: message for message in messages}


@pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs', 'filesystem'], indirect=True)
def test_what_is_sent_again_equals_the_first(platform: Platform) -> None:
    send_all(platform)
    platform.track()
    first = {**by_id(raw(platform.broker, 'once')), **by_id(raw(platform.broker, 'celery'))}
    assert len(first) == 14
    platform.later()
    sent = platform.resend('--lost', '--yes')
    assert sent.stderr == f'{len(first)} sent\n'
    platform.broker.count('once')
    second = {**by_id(raw(platform.broker, 'once')), **by_id(raw(platform.broker, 'celery'))}
    copies = by_id(raw(platform.broker, PLATFORM_QUEUE))
    assert second.keys() == copies.keys() == first.keys()
    for task_id, (headers, properties, body) in first.items():
        # It is made for people, and PostgreSQL has no NUL.
        headers['argsrepr'] = headers['argsrepr'].replace('\0', '\ufffd')
        for resent in (second[task_id][0], copies[task_id][0]):
            if headers['eta']:
                # Time has passed for the rows alone.
                resent['eta'] = (datetime.fromisoformat(resent['eta']) + AGE).isoformat()
        assert second[task_id][0] == headers
        assert second[task_id][1] == properties
        assert second[task_id][2] == body
        assert (copies[task_id][0], copies[task_id][2]) == (headers, body)
