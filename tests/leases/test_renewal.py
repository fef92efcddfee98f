from __future__ import annotations

import threading

import pytest

from cadasta.workertoolbox.leases import renewal
from cadasta.workertoolbox.leases.renewal import Renewal
from rig.servers.process import PATIENCE


class Leases:
    """Leases that are renewed by a broker that is away, until they were asked for three times."""

    def __init__(self) -> None:
        self.times = 0
        self.renewed = threading.Event()

    def seconds(self) -> float:
        raise ConnectionError('The broker is away')

    def renew(self) -> None:
        self.times += 1
        if self.times < 3:
            raise ConnectionError('The broker is away')
        self.renewed.set()


def test_a_broker_that_is_away_does_not_end_the_renewals(caplog: pytest.LogCaptureFixture) -> None:
    leases = Leases()
    thread = Renewal(leases, otherwise=0.1)
    thread.start()
    assert leases.renewed.wait(PATIENCE)
    thread.stop()
    times = leases.times
    assert [record.levelname for record in caplog.records] == ['WARNING'] * 3
    assert 'does not tell how long' in caplog.messages[0]
    assert all('tried again: The broker is away' in message for message in caplog.messages[1:])
    assert leases.times == times
    assert not thread._thread.is_alive()


def test_a_silent_broker_does_not_keep_a_worker_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, 'PATIENCE', 0.1)
    asked, answered = threading.Event(), threading.Event()

    class Silent(Leases):
        def renew(self) -> None:
            asked.set()
            answered.wait(PATIENCE)

    thread = Renewal(Silent(), otherwise=0.1)
    thread.start()
    assert asked.wait(PATIENCE)
    thread.stop()
    assert thread._thread.is_alive()
    answered.set()
    thread._thread.join()
