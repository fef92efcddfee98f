"""How findings are shown."""

from __future__ import annotations

from io import BytesIO, TextIOWrapper

from rich.console import Console

from cadasta.workertoolbox.check import Finding, Problem
from cadasta.workertoolbox.check.finding import Outcome
from cadasta.workertoolbox.check.report import show


def test_each_note_is_shown_once() -> None:
    findings = [
        Finding('broker', 'it can be reached', Outcome(note='amqp://localhost')),
        Finding('tasks', 'it is written', Outcome(skipped='give --database to know')),
        Finding('results', 'it refuses pickles', Outcome(note='it accepts\nthem', is_noteworthy=True)),
        Finding('results', 'it has rights', Outcome((Problem('role a', 'it lacks one', 'Grant it.'),), note='a')),
    ]
    with TextIOWrapper(BytesIO(), 'utf-8') as output:
        assert not show(findings, Console(file=output))
        assert show(findings[:3], Console(file=output))
        output.seek(0)
        lines = output.read().splitlines()
    assert lines[:8] == [
        '✓ broker       it can be reached (amqp://localhost)',
        '– tasks        it is written (give --database to know)',  # noqa: RUF001  # the mark of what is skipped
        '! results      it refuses pickles',
        '    Note:   it accepts them',
        '✗ results      it has rights',
        '    Where:  role a',
        '    Seen:   it lacks one',
        '    Change: Grant it.',
    ]
    assert (lines[8], lines[-1]) == ('1 passed, 1 failed, 1 skipped, 1 noted', '1 passed, 0 failed, 1 skipped, 1 noted')
