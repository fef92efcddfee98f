from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes

from .service import Service, service


@pytest.fixture
def once(broker: Broker, database: Database, processes: Processes) -> Iterator[Service]:
    with service(broker, database, processes) as made:
        yield made
