"""Spread the tests over processes: a file goes to one of them, but its tests of RabbitMQ go to one of a few.

A process that tests RabbitMQ starts a node of its own, which takes more of the machine than ten workers.
"""

from __future__ import annotations

from zlib import crc32

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

#: The processes that start a node, where there are more.
NODES = 2


class Scheduling(LoadFileScheduling):
    """Gives whole files to the processes, without the tests that have RabbitMQ for a parameter."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        has_node = 'amqp' in nodeid.partition('[')[2]
        return f'RabbitMQ {crc32(file.encode()) % NODES}' if has_node else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption('dist') == 'loadfile' else None
