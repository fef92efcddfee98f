"""A short storm on each broker. `python -m rig.storm` makes longer ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes
from rig.storm.faults import FAULTS, plan
from rig.storm.platform import Platform
from rig.storm.run import make_platform, storm

SEED = 1
SECONDS = 12
# Each kind of fault about once.
INTERVAL = 0.75


@pytest.fixture
def platform(broker: Broker, database: Database, processes: Processes) -> Iterator[Platform]:
    platform = make_platform(broker, database, processes)
    yield platform
    platform.close()


# Nothing fails in memory and with files, so the storms over those are left to `./benchmarks/run`.
@pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)
@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_books_balance(platform: Platform) -> None:
    books = storm(platform, SEED, SECONDS, rate=5, interval=INTERVAL)
    assert books.balance, str(books)
    # A producer that was killed has sent a part of its workflows.
    assert books.counts['workflows'] > 30
    assert books.counts['tasks scheduled'] > 100
    assert books.counts['tasks named lost and sent again'] > 0
    assert books.counts['chords'] > 0
    assert books.counts['batches'] > 0
    assert books.counts['transactions with an outbox'] > books.counts['transactions that were not committed'] > 0


@pytest.mark.parametrize('broker_name', FAULTS)
def test_the_short_storm_has_each_fault(broker_name: str) -> None:
    faults = plan(SEED, FAULTS[broker_name], SECONDS, INTERVAL)
    assert {fault.name for fault in faults} == set(FAULTS[broker_name])


def test_a_seed_repeats_the_faults() -> None:
    def faults(seed: int) -> list[tuple[float, str, float]]:
        return [(fault.at, fault.name, fault.chance.random()) for fault in plan(seed, FAULTS['redis'], 60, 2)]

    assert faults(7) == faults(7)
    assert faults(7) != faults(8)
