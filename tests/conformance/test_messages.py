"""A failure says which rule is broken and by what, what was seen, and what to change."""

from __future__ import annotations

import pickle
import re
import unittest
from pathlib import Path

import pytest
from celery import Celery

from cadasta.workertoolbox.tests import build_functional_tests

from .apps import add, make_app
from .broken import BROKEN
from .judging import CASES, judge

PAGE = Path(__file__).parents[2] / 'docs' / 'howto' / 'testing.rst'


def test_no_credential_is_shown() -> None:
    app = make_app()

    @app.on_after_finalize.connect(weak=False)
    def break_it(sender: Celery, **kwargs: object) -> None:
        def route(name: str, *args: object, **kwargs: object) -> None:
            raise ConnectionError('redis://:hush@localhost:1/0 is away')

        sender.conf.task_routes = route

    messages = judge(app)[3]
    assert 'redis://********@localhost:1/0 is away' in messages[0]
    assert 'hush' not in ''.join(messages)


def test_one_run_shows_all_that_is_wrong() -> None:
    app = make_app(QUEUE_PREFIX='', task_track_started=False)
    for number in range(3):
        add(app, f'report.make-{number}', serializer='pickle')
    failures = judge(app)
    assert set(failures) == {4, 6, 8}
    assert where(failures[4]) == {f"task 'report.make-{number}'" for number in range(3)}
    assert where(failures[6]) >= {f'task {name!r}' for name in app.tasks if name.startswith(('export', 'report'))}
    assert where(failures[8]) == {f'queue {name!r}' for name in ('celery', 'export', 'msg', 'platform.fifo')}


def where(messages: list[str]) -> set[str]:
    return {re.search('Where:  (.+)\n', message)[1] for message in messages}


def test_a_suite_has_the_name_it_was_given() -> None:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(OurTests).run(result)
    names = [test.id() for test, _ in result.skipped]
    assert names == [f'{__name__}.OurTests.test_rule_9_a_worker_leaves_the_platform_queue_alone']


def test_a_test_survives_the_way_to_another_process() -> None:
    test = OurTests('test_rule_1_the_platform_gets_a_copy_of_every_message')
    assert pickle.loads(pickle.dumps(test)) == test


@pytest.mark.parametrize(
    'name',
    [
        'task_named_after_no_queue',
        'second_queue_with_the_same_key',
        'platform_queue_selected_when_the_worker_starts',
    ],
)
def test_the_manual_shows_messages_as_they_are(name: str) -> None:
    app = CASES[name].make()
    message = judge(app)[BROKEN[name].rule or 0][0]
    assert ' '.join(message.split()) in ' '.join(PAGE.read_text().split())


def test_a_producer_has_no_worker() -> None:
    assert judge(BROKEN['platform_queue_selected_when_the_worker_starts'].make(), is_worker=False) == {}


OurTests = build_functional_tests(make_app(), is_worker=False)
OurTests.__test__ = False
