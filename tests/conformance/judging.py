"""Run the functional tests of an app, and tell which rules it breaks.

    python -m tests.conformance.judging

prints the verdict on each app as JSON, given in a process of its own in which no socket can be opened.
"""

from __future__ import annotations

import importlib
import json
import logging
import multiprocessing
import re
import sys
import traceback
import unittest
import warnings
from typing import Any

from celery import Celery

from cadasta.workertoolbox.errors import ConformanceNote
from cadasta.workertoolbox.tests import build_functional_tests

from .broken import BROKEN
from .sound import SOUND

CASES = {**BROKEN, **SOUND}
_IMPORTED_LATE = (
    'cadasta.workertoolbox.results.backend',
    'celery.app.amqp',
    'celery.app.events',
    'celery.concurrency.prefork',
    'celery.concurrency.solo',
    'celery.events',
    'celery.loaders.app',
    'celery.utils.saferepr',
    'kombu.transport.SQS',
    'kombu.transport.redis',
    'sqlalchemy.dialects.postgresql',
)
_RULE = re.compile(r'test_rule_(\d+)')


def import_late() -> None:
    """Import what the first app of a process would import while it is judged."""
    for module in _IMPORTED_LATE:
        importlib.import_module(module)


def judge(app: Celery, is_worker: bool = True, **options: Any) -> dict[int, list[str]]:
    """The messages of the failures of an app, by rule."""
    result = unittest.TestResult()
    suite = build_functional_tests(app, is_worker, **options)
    unittest.defaultTestLoader.loadTestsFromTestCase(suite).run(result)
    if result.errors:
        raise AssertionError(result.errors[0][1])
    failures: dict[int, list[str]] = {}
    for test, message in result.failures:
        match = _RULE.search(test.id())
        assert match is not None
        failures.setdefault(int(match[1]), []).append(message)
    return failures


def notes_on(app: Celery, is_worker: bool = True) -> list[str]:
    """The notes on an app, which must break no rule."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert judge(app, is_worker) == {}
    return [str(warning.message) for warning in caught if warning.category is ConformanceNote]


def judge_without_sockets(name: str) -> tuple[str, dict[int, list[str]] | str]:
    """Judge the app of that name in this process, which can open no socket from now on."""
    case = CASES[name]
    try:
        with case.environment():
            app = case.make()
            sys.addaudithook(_refuse_sockets)
            failures = judge(app, case.is_worker)
        # It opens its sockets without Python's help: but nobody asked for a connection to a database.
        assert 'psycopg2' not in sys.modules
    except BaseException:
        return name, traceback.format_exc()
    return name, failures


def _refuse_sockets(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith('socket.') and event != 'socket.gethostname':
        raise AssertionError(f'a socket was opened: {event}{arguments}')


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    logging.disable()
    # A process for each app, forked from this one that has done nothing but import.
    import_late()
    with multiprocessing.get_context('fork').Pool(2, maxtasksperchild=1) as pool:
        json.dump(dict(pool.imap_unordered(judge_without_sockets, CASES)), sys.stdout)
