from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from kombu import Connection

from rig.servers.broker import Broker


class Holder:
    """A channel as a worker has it, and what it holds.

    :param connection: its connection
    """

    def __init__(self, connection: Connection) -> None:
        self.channel: Any = connection.default_channel

    def hold(self, count: int, queue: str = 'export') -> list[str]:
        """Takes so many messages from a queue, and keeps them; returns their delivery tags."""
        self.channel.queue_declare(queue)
        with self.channel.connection.client.Producer() as producer:
            for number in range(count):
                headers = {'id': str(number)}
                producer.publish({}, routing_key=queue, headers=headers, MessageGroupId=str(number))
        return [self.channel.basic_get(queue).delivery_tag for _ in range(count)]


@pytest.fixture
def holder(broker: Broker) -> Iterator[Holder]:
    with ExitStack() as stack:
        broker.options.setdefault('visibility_timeout', 300)
        broker.options['client-config'] = {'retries': {'total_max_attempts': 1}}
        yield Holder(stack.enter_context(broker.connect()))
