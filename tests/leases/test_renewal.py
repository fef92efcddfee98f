from __future__ import annotations

import threading
from types import SimpleNamespace

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


@pytest.mark.parametrize(
    ('lease', 'waits'),
    [
        # The second renewal takes longer than the interval, so the third comes at once.
        (6.0, [2.0, 1.5, 0, 2.0]),
        (0.1, [0.1, 0, 0, 0.1]),
    ],
)
def test_leases_are_renewed_three_times_while_they_last(
    lease: float, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waited = 100.0, []
    takes = iter([0.5, 3.0, 0.0])

    def wait(seconds: float) -> bool:
        nonlocal now
        waited.append(seconds)
        now += seconds
        return len(waited) == len(waits)

    def renew() -> None:
        nonlocal now
        now += next(takes)

    monkeypatch.setattr(renewal, 'time', SimpleNamespace(monotonic=lambda: now))
    made = Renewal(SimpleNamespace(seconds=lambda: lease, renew=renew), otherwise=60)
    made._stopped = SimpleNamespace(wait=wait)
    made._run()
    assert waited == pytest.approx(waits)
    # The process may end while a broker is silent.
    assert made._thread.daemon


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
