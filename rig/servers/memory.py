"""Empty kombu's in-memory broker, which the whole process shares."""

from __future__ import annotations

import kombu.pools
from kombu.transport.memory import Channel, Transport

from .broker import Broker


class MemoryBroker(Broker):
    def __init__(self) -> None:
        super().__init__('memory', 'memory://', {'polling_interval': 0.01})
        self._forget()

    def close(self) -> None:
        super().close()
        self._forget()

    def _forget(self) -> None:
        # A connection that has declared an entity would not declare it again.
        kombu.pools.reset()
        Transport.global_state.clear()
        Channel.queues.clear()
