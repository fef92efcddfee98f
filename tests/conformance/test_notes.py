"""Tasks that ignore their result are no failure: the suite and the check name them, because they may run twice."""

from __future__ import annotations

import json
import unittest
import warnings
from typing import Any

import pytest
from celery import Celery

from cadasta.workertoolbox import ConformanceNote, build_functional_tests

from ..commands.running import run
from .apps import add, make_app

RULE = 'rule 6: results and starts are stored in a database'
SUMMARY = '9 passed, 0 failed, 1 skipped, 1 noted\n'


def ignoring(**settings: Any) -> Celery:
    app = make_app(broker_url='memory://', **settings)
    add(app, 'export.archive', ignore_result=True)
    return app


def with_entries(*tasks: str, **settings: Any) -> Celery:
    """An app whose beat sends tasks and ignores their results."""
    entries = {f'nightly {task}': {'task': task, 'schedule': 60, 'options': {'ignore_result': True}} for task in tasks}
    if 'export.project' in tasks:
        entries['nightly export.project']['args'] = (1,)
    return make_app(broker_url='memory://', beat_schedule=entries, **settings)


def warned(app: Celery) -> list[str]:
    """The notes that the suite of an app shows. The suite must pass."""
    result = unittest.TestResult()
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(build_functional_tests(app))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        tests.run(result)
    assert result.wasSuccessful(), result.failures + result.errors
    notes = [warning for warning in caught if warning.category is ConformanceNote]
    # It points to the line that made the test case.
    assert {note.filename for note in notes} <= {__file__}
    return [str(note.message) for note in notes]


def test_a_task_that_ignores_its_result() -> None:
    (note,) = warned(ignoring())
    assert note == (
        "Rule 6: No result of these tasks is stored, so they may run twice: task 'export.archive'. Take ignore_result "
        'out of a task, and task_ignore_result out of the configuration, where it must run once.'
    )


@pytest.mark.parametrize(
    ('app', 'named'),
    [
        (lambda: make_app(task_ignore_result=True), "task 'export.project', task 'msg.send'."),
        (
            lambda: make_app(task_annotations={'export.project': {'ignore_result': True}}),
            "task 'export.project'.",
        ),
        (
            lambda: with_entries('export.project'),
            "entry 'nightly export.project' of setting beat_schedule.",
        ),
        (
            lambda: with_entries('export.project', 'celery.backend_cleanup', task_ignore_result=True),
            "task 'export.project', task 'msg.send'.",
        ),
        (lambda: with_entries('celery.backend_cleanup', 'export.alien'), "entry 'nightly export.alien' of setting"),
    ],
    ids=['setting', 'annotation', 'entry', 'setting and entries', 'entries'],
)
def test_what_is_named(app: Any, named: str) -> None:
    (note,) = warned(app())
    assert f'may run twice: {named}' in note


def test_a_task_of_the_apps_own_whose_name_begins_like_celerys() -> None:
    app = make_app()
    add(app, 'celery.project', ignore_result=True)
    (note,) = warned(app)
    assert "may run twice: task 'celery.project'." in note


def test_nothing_to_note() -> None:
    assert warned(make_app()) == []
    assert warned(ignoring(RUN_ONCE=False)) == []


class TestCheck:
    def test_a_line_that_is_neither_passed_nor_failed(self) -> None:
        result = run(ignoring(), 'check', '--offline')
        assert result.exit_code == 0
        assert (
            f'! conformance  {RULE}\n'
            "    Note:   No result of these tasks is stored, so they may run twice: task 'export.archive'. Take "
        ) in result.output
        assert result.output.endswith(SUMMARY)

    def test_nothing_to_note(self) -> None:
        assert 'Note:' not in run(ignoring(RUN_ONCE=False), 'check', '--offline').output

    def test_a_rule_that_is_broken_as_well(self) -> None:
        result = run(ignoring(task_track_started=False), 'check', '--offline')
        assert result.exit_code == 1
        lines = result.output[result.output.index(f'✗ conformance  {RULE}\n') :].splitlines()
        assert [line.split()[0] for line in lines[1:5]] == ['Where:', 'Seen:', 'Change:', 'Note:']

    def test_as_a_document(self) -> None:
        document = json.loads(run(ignoring(), 'check', '--offline', '--json').output)
        assert document['ok'] is True
        (noted,) = (finding for finding in document['findings'] if finding['state'] == 'noted')
        assert (noted['check'], noted['problems']) == (RULE, [])
        assert "task 'export.archive'" in noted['note']
