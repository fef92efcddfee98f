"""The benchmarks count right; how fast something is, no test says."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import importing, losses
from benchmarks.table import Row, alternately, show
from rig.servers.broker import Broker, Key


@pytest.mark.parametrize(
    ('ratio', 'target', 'is_met'),
    [
        (1.0, 'at least 1.0', True),
        (0.99, 'at least 1.0', False),
        (0.996, 'at least 1.0', True),
        (0.25, 'at most 0.25', True),
        (0.26, 'at most 0.25', False),
        (0.254, 'at most 0.25', False),
    ],
)
def test_targets(ratio: float, target: str, is_met: bool, capsys: pytest.CaptureFixture[str]) -> None:
    row = Row('what', 'ours', 'theirs', ratio, target)
    assert row.is_met is is_met
    assert show([row]) is is_met
    assert f'{ratio:.2f}' in capsys.readouterr().out


def test_each_way_is_first_as_often_as_the_others() -> None:
    order: list[str] = []

    def way(name: str, figures: list[float]) -> float:
        order.append(name)
        return figures.pop()

    figures = {'a': [1.0, 9.0, 2.0, 3.0], 'b': [5.0, 5.0, 5.0, 7.0]}
    medians = alternately({name: lambda name=name: way(name, figures[name]) for name in figures}, 4)
    assert ''.join(order) == 'abbaabba'
    assert medians == {'a': 2.5, 'b': 5.0}


@pytest.mark.process
def test_imports_are_compared_with_the_same_names() -> None:
    names = list(importing.names_of_celery_and_kombu())
    assert 'from kombu import Exchange, Queue' in names
    assert all(name.startswith(('from celery', 'from kombu')) for name in names)


def test_what_is_lost_or_doubled_is_counted() -> None:
    one, two = Key('export.add', '1', 0), Key('export.add', '2', 0)

    class Noted:
        broker = Broker('memory', 'memory://', {})

        def __init__(self, ran: Counter[Key]) -> None:
            self.ran = lambda: ran

        def published(self) -> Counter[Key]:
            return Counter([one, two])

    all_well = losses.compared(Noted(Counter([one, two])), Counter([one, two]))
    assert (all_well.ratio, all_well.is_met) == (0, True)
    doubled_and_lost = losses.compared(Noted(Counter([one, one])), Counter([two]))
    assert (doubled_and_lost.ratio, doubled_and_lost.is_met) == (3, False)
