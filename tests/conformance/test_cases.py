"""Every app that breaks a rule is caught by that rule, and no sound app is failed."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from celery.app import app_or_default

from cadasta.workertoolbox.rehearsal.loading import load
from cadasta.workertoolbox.seams.celery_signals import kept_receivers

from ..conftest import forgetting_tasks
from .broken import BROKEN
from .judging import CASES, import_late, judge
from .sound import SOUND
from .state import app_state, connections, process_state

REPOSITORY = Path(__file__).parents[2]
MESSAGE = re.compile(r'AssertionError: Rule \d+: .+\.\n  Where:  .+\n  Seen:   .+\n  Change: .+\.\n')

Verdict = dict[int, list[str]]

# The first test waits for the verdicts on all apps.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope='module')
def alone() -> dict[str, Verdict]:
    """The verdict on each app, given in a process of its own in which no socket can be opened."""
    command = [sys.executable, '-m', 'tests.conformance.judging']
    output = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    verdicts = json.loads(output)
    assert not [verdict for verdict in verdicts.values() if isinstance(verdict, str)]
    return {name: {int(rule): messages for rule, messages in verdict.items()} for name, verdict in verdicts.items()}


@pytest.fixture(scope='module')
def together() -> dict[str, Verdict]:
    """The verdict on each app, all given in this process, one after the other in random order."""
    names = list(CASES)
    random.shuffle(names)
    print('order:', *names)
    # The first app to be judged would leave these behind.
    import_late()
    app_or_default()
    before = connections()
    verdicts = {name: judge_in_this_process(name) for name in names}
    assert connections() <= before
    return verdicts


def judge_in_this_process(name: str) -> Verdict:
    case = CASES[name]
    with case.environment(), forgetting_tasks(), kept_receivers():
        app = case.make()
        load(app)
        before = {**process_state(), **app_state(app)}
        failures = judge(app, case.is_worker)
        after = {**process_state(), **app_state(app)}
        assert {what: value for what, value in after.items() if value != before[what]} == {}
    return failures


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_app_is_caught_by_the_rule_it_breaks(
    name: str,
    alone: dict[str, Verdict],
    together: dict[str, Verdict],
) -> None:
    verdict = alone[name]
    assert BROKEN[name].rule in verdict
    assert set(verdict) == set(together[name])


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', BROKEN)
def test_every_message_has_all_its_parts(name: str, together: dict[str, Verdict]) -> None:
    for messages in together[name].values():
        for message in messages:
            # No line of the code that made it.
            assert MESSAGE.fullmatch(message)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', SOUND)
def test_a_sound_app_passes(
    name: str,
    alone: dict[str, Verdict],
    together: dict[str, Verdict],
) -> None:
    assert alone[name] == {}
    assert together[name] == {}


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 40
    assert {case.rule for case in BROKEN.values()} == set(range(1, 11))
    assert len(SOUND) >= 20
