"""The conformance suite, as findings: one a rule."""

import re
import unittest
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from celery import Celery

from ..tests import build_functional_tests
from .finding import Finding, Outcome, Problem, shown

_MESSAGE = re.compile(r'Rule \d: .*?\n  Where:  (.*?)\n  Seen:   (.*?)\n  Change: (.*)', re.DOTALL)


def check_rules(app: Celery, is_worker: bool) -> Iterator[Finding]:
    """Run the conformance suite of an app.

    :param app: the app; its task modules are imported.
    :param is_worker: whether workers are started from its codebase.
    :returns: a finding for each rule, after one for the app itself.
    """
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app, is_worker))
    rules = [test.id() for test in suite if isinstance(test, unittest.TestCase)]
    result = _Result()
    suite.run(result)
    # What went wrong before the first rule.
    early = [problem for name in result.problems.keys() - set(rules) for problem in result.problems[name]]
    yield Finding('conformance', 'the app can be loaded', Outcome(tuple(early), note=repr(app.main)))
    for rule in rules:
        skipped = 'the app cannot be loaded' if early else result.skips.get(rule, '')
        yield Finding('conformance', _title(rule), Outcome(tuple(result.problems[rule]), skipped))


class _Result(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.problems: dict[str, list[Problem]] = defaultdict(list)
        self.skips: dict[str, str] = {}

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest
        self._add(test, err[1])

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802  # unittest
        self._add(test, err[1])

    def addSubTest(  # noqa: N802  # unittest
        self,
        test: unittest.TestCase,
        subtest: unittest.TestCase,
        err: Any,
    ) -> None:
        if err is not None:
            self._add(test, err[1])

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802  # unittest
        self.skips[test.id()] = reason

    def _add(self, test: unittest.TestCase, error: BaseException) -> None:
        match = _MESSAGE.fullmatch(str(error))
        self.problems[test.id()].append(
            Problem(*match.groups()) if match else Problem('the app', shown(error), 'Mend what the error names.')
        )


def _title(test: str) -> str:
    """Make a title of a test's name.

    >>> _title('tests.FunctionalTests.test_rule_7_tasks_are_sent')
    'rule 7: tasks are sent'
    """
    _, _, number, title = test.rpartition('.')[2].split('_', 3)
    return f'rule {number}: {title.replace("_", " ")}'
