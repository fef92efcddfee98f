"""The suite and the check are made of the rules, whatever number a rule has and however the platform queue is named."""

from __future__ import annotations

import re
import unittest
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery, signals
from kombu import Queue

from cadasta.workertoolbox.check import Finding, Problem, check, platform_queue
from cadasta.workertoolbox.check import conformance as check_module
from cadasta.workertoolbox.conformance import suite as suite_module
from cadasta.workertoolbox.conformance.rule import Rule, Verdict, Violation
from cadasta.workertoolbox.conformance.rules import RULES
from cadasta.workertoolbox.rehearsal.observing import Observations
from cadasta.workertoolbox.tests import build_functional_tests

from ..commands.running import run
from .apps import make_app
from .broken import when

RENAMED = 'prod-platform.fifo'


def run_suite(app: Celery, name: str = 'platform.fifo') -> unittest.TestResult:
    result = unittest.TestResult()
    suite = build_functional_tests(app, platform_queue=name)
    unittest.defaultTestLoader.loadTestsFromTestCase(suite).run(result)
    return result


def broken(result: unittest.TestResult) -> set[int]:
    """The numbers of the rules that are broken."""
    return {int(number) for _, message in result.failures for number in re.findall(r': Rule (\d+): ', message)}


def findings(app: Celery) -> dict[str, Finding]:
    return {finding.check: finding for finding in check(app, offline=True)}


def test_they_are_numbered_from_one() -> None:
    assert [rule.number for rule in RULES] == list(range(1, len(RULES) + 1))


class TestARuleWithTwoDigits:
    """Rule 11 is told from rule 1, in the suite and in the check."""

    def judge(self, seen: Observations) -> Iterator[Verdict]:
        yield Verdict({'queue': 'export'}, None)
        yield Verdict({'queue': 'msg'}, Violation('queues have long names', "queue 'msg'", seen.queues, 'Rename it.'))

    @pytest.fixture(autouse=True)
    def another_rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rules = (*RULES, Rule(11, 'queues have long names', self.judge))
        monkeypatch.setattr(suite_module, 'RULES', rules)
        monkeypatch.setattr(check_module, 'RULES', rules)

    def test_the_suite(self) -> None:
        result = run_suite(make_app())
        ((test, message),) = result.failures
        assert result.testsRun == 11
        assert test.id().endswith("FunctionalTests.test_rule_11_queues_have_long_names (queue='msg')")
        assert message.startswith("AssertionError: Rule 11: queues have long names.\n  Where:  queue 'msg'\n  Seen:   ")
        assert message.endswith('\n  Change: Rename it.\n')

    def test_the_check(self) -> None:
        found = findings(make_app())
        assert [finding.state for finding in found.values()].count('failed') == 1
        (problem,) = found['rule 11: queues have long names'].outcome.problems
        assert (problem.where, problem.change) == ("queue 'msg'", 'Rename it.')
        assert "'export'" in problem.seen


def test_a_rule_that_cannot_judge_an_app_does_not_end_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(seen: Observations) -> Iterator[Verdict]:
        raise LookupError('nothing here')
        yield

    monkeypatch.setattr(check_module, 'RULES', (Rule(1, 'it can be judged', judge), *RULES[1:]))
    found = findings(make_app())
    assert found['rule 1: it can be judged'].outcome.problems == (
        Problem('the app', 'LookupError: nothing here', 'Mend what the error names.'),
    )
    assert found['rule 4: each task is tracked'].state == 'passed'


class TestARenamedPlatformQueue:
    @pytest.fixture
    def renamed(self) -> Celery:
        return make_app(broker_url='memory://', PLATFORM_QUEUE_NAME=RENAMED)

    def test_the_suite_demands_the_name_that_it_is_given(self, renamed: Celery) -> None:
        result = run_suite(renamed, RENAMED)
        assert result.wasSuccessful()
        assert result.testsRun == 10
        assert 1 in broken(run_suite(renamed))

    def test_an_app_that_keeps_the_usual_name_is_failed(self) -> None:
        result = run_suite(make_app(), RENAMED)
        assert 1 in broken(result)
        told = ''.join(message for _, message in result.failures)
        assert f"Rule 1: the platform queue is '{RENAMED}'.\n  Where:  setting task_queues\n" in told
        assert f"Config, and set PLATFORM_QUEUE_NAME to '{RENAMED}'.\n" in told

    def test_a_worker_must_leave_it_alone(self, renamed: Celery) -> None:
        when(signals.worker_init, renamed, lambda: renamed.amqp.queues.select([RENAMED]))
        assert broken(run_suite(renamed, RENAMED)) == {9}

    def test_the_check(self, renamed: Celery) -> None:
        rule = '✗ conformance  rule 1: the platform gets a copy of every message\n'
        assert rule in run(renamed, 'check', '--offline').output
        assert rule in run(make_app(), 'check', '--offline', '--platform-queue', RENAMED).output
        assert run(renamed, 'check', '--offline', '--platform-queue', RENAMED).exit_code == 0
        assert run(renamed, 'check', '--offline', TOOLBOX_PLATFORM_QUEUE=RENAMED).exit_code == 0

    def test_the_check_of_an_app_without_a_config_looks_at_the_queue_of_that_name(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(platform_queue, 'WATCHED', 0.0)
        app = Celery('plain', set_as_current=False)
        folders = dict.fromkeys(('data_folder_in', 'data_folder_out', 'control_folder'), str(tmp_path))
        app.config_from_object({'broker_url': 'filesystem://', 'broker_transport_options': folders})
        with app.producer_pool.acquire() as producer:
            producer.publish({}, routing_key=RENAMED, declare=[Queue(RENAMED)])

        def drained(**options: str) -> str:
            found = {finding.check: finding for finding in check(app, **options)}
            return found['messages do not pile up in the platform queue'].state

        assert drained() == 'passed'
        assert drained(platform_queue=RENAMED) == 'failed'
