"""Producers and relays are killed, and the database is restarted: what was committed is sent and runs once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cadasta.workertoolbox.relay.table import MOST
from rig.outbox.kills import Outcome, Storm
from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes

pytestmark = pytest.mark.slow


@pytest.fixture
def storm(broker: Broker, database: Database, processes: Processes, tmp_path: Path) -> Storm:
    return Storm(broker, database, processes, tmp_path)


def check(outcome: Outcome) -> None:
    print(outcome)
    assert outcome.tracked == outcome.runs.keys() == outcome.expected, str(outcome)
    # With the claim, a task that was published twice runs once.
    assert set(outcome.runs.values()) == {1}, str(outcome)


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_producers_are_killed(storm: Storm) -> None:
    outcome = storm.run(kills=10, relay_kills=0, restarts=0)
    check(outcome)
    assert outcome.copies == (0, 0)


@pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs'], indirect=True)
@pytest.mark.soak
@pytest.mark.timeout(600)
def test_everything_is_killed(storm: Storm) -> None:
    outcome = storm.run(kills=100, relay_kills=8, restarts=2)
    check(outcome)
    # Only what was under way is published twice.
    assert max(outcome.copies) <= (8 + 2 * 2) * MOST
    assert {'sending', 'committing'} <= outcome.moments.keys()
