"""The test case that judges an app: it has one test for each rule."""

import sys
import unittest
import warnings
from collections.abc import Callable, Collection
from contextlib import nullcontext
from typing import Any, ClassVar, NamedTuple

from celery import Celery

from ..errors import ConformanceNote
from ..rehearsal.loading import load
from ..rehearsal.observing import Observations, observe
from .rule import Rule, Violation
from .rules import RULES

# unittest leaves the lines of this file out of a traceback: the message of the failure is enough.
__unittest = True


class Place(NamedTuple):
    """The line that makes a test case.

    :param module: the name of its module, to which the test case belongs.
    :param filename: its file.
    :param line: its number.
    """

    module: str
    filename: str
    line: int


class Suite(unittest.TestCase):
    """Observes an app once, and then judges it rule by rule."""

    app: ClassVar[Celery]
    is_worker: ClassVar[bool]
    platform_queue: ClassVar[str]
    called_with_queue: ClassVar[Collection[str]]
    place: ClassVar[Place]
    seen: ClassVar[Observations]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._take_name()
        load(cls.app)
        cls.seen = observe(cls.app, cls.is_worker, cls.platform_queue, cls.called_with_queue)
        cls.addClassCleanup(cls.seen.bindings.close)

    @classmethod
    def _take_name(cls) -> None:
        # Reports show the name that the class has in its module, and other processes find the class by it.
        for name, value in vars(sys.modules[cls.__module__]).items():
            if value is cls:
                cls.__name__ = cls.__qualname__ = name

    def __getstate__(self) -> dict[str, Any]:
        # Django's parallel test runner pickles tests to send them between processes. It cannot pickle the `_outcome`
        # that unittest keeps in a test while the test runs.
        self._take_name()
        return {name: value for name, value in vars(self).items() if name != '_outcome'}

    def _judge(self, rule: Rule) -> None:
        __tracebackhide__ = True
        if reason := rule.reason_to_skip(self.seen):
            self.skipTest(reason)
        for part, violation in rule.judge(self.seen):
            with self.subTest(**part) if part else nullcontext():
                if violation is not None:
                    self._fail(rule.number, violation)
        if note := rule.note(self.seen):
            # The note points the reader at the tests of the app, and not at a line of this package.
            module, filename, line = self.place
            warnings.warn_explicit(f'Rule {rule.number}: {note}', ConformanceNote, filename, line, module)

    def _fail(self, number: int, violation: Violation) -> None:
        __tracebackhide__ = True
        self.fail(
            f'Rule {number}: {violation.expected}.\n'
            f'  Where:  {violation.where}\n'
            f'  Seen:   {violation.seen_text}\n'
            f'  Change: {violation.change}'
        )


def make_suite(
    app: Celery,
    is_worker: bool,
    platform_queue: str,
    called_with_queue: Collection[str],
    place: Place,
) -> type[Suite]:
    """Make the test case of an app.

    :param app: the app.
    :param is_worker: whether workers are started from its codebase.
    :param platform_queue: the name of the platform queue.
    :param called_with_queue: patterns of the names of tasks whose every call names a queue.
    :param place: the line that makes the test case.
    :returns: the test case.
    """
    tests = {test.__name__: test for test in map(_test, RULES)}
    return type(
        'FunctionalTests',
        (Suite,),
        {
            '__module__': place.module,
            '__doc__': f'Judges {app!r} by the rules of the architecture.',
            'app': app,
            'is_worker': is_worker,
            'platform_queue': platform_queue,
            'called_with_queue': called_with_queue,
            'place': place,
            **tests,
        },
    )


def _test(rule: Rule) -> Callable[[Suite], None]:
    def test(suite: Suite) -> None:
        suite._judge(rule)

    test.__name__ = f'test_rule_{rule.number}_{rule.title.replace(" ", "_")}'
    return test
