"""A task module that cannot be imported is named."""

from __future__ import annotations

import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery, signals

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.errors import TaskModuleError
from cadasta.workertoolbox.rehearsal.loading import load
from cadasta.workertoolbox.tests import build_functional_tests


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of task modules that can be imported."""
    (tmp_path / 'broken_worker').mkdir()
    (tmp_path / 'broken_worker' / '__init__.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / 'broken_worker'
    for name in [name for name in sys.modules if name.startswith('broken_worker')]:
        del sys.modules[name]


def make_app(**settings: object) -> Celery:
    app = Celery('broken', set_as_current=False)
    app.config_from_object(Config(**settings))
    return app


@pytest.mark.parametrize('setting', ['imports', 'include'])
@pytest.mark.parametrize(
    ('code', 'error'),
    [
        ('import no_such_module', "ModuleNotFoundError: No module named 'no_such_module'"),
        ('from celery import no_such_name', 'ImportError: cannot import name'),
        ('1 / 0', 'ZeroDivisionError: division by zero'),
        ('def', 'SyntaxError: invalid syntax'),
    ],
)
def test_a_listed_module_is_named(package: Path, setting: str, code: str, error: str) -> None:
    (package / 'jobs.py').write_text(code)
    with pytest.raises(TaskModuleError, match=f"Task module 'broken_worker.jobs' of app 'broken' .*: {error}"):
        load(make_app(**{setting: ['broken_worker.jobs']}))


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(TaskModuleError, match=r"Task module 'broken_worker\.jbos' of app"):
        load(make_app(include=['broken_worker.jbos']))


def test_a_discovered_module_is_named(package: Path) -> None:
    (package / 'tasks.py').write_text('import no_such_module')
    app = make_app()
    app.autodiscover_tasks(['broken_worker'])
    with pytest.raises(TaskModuleError, match=r"Task module 'broken_worker\.tasks' of app"):
        load(app)


def test_a_receiver_of_the_signal_to_import_is_to_blame() -> None:
    def receive(sender: object, **kwargs: object) -> None:
        raise LookupError('nothing here')

    app = make_app()
    signals.import_modules.connect(receive, sender=app)
    with pytest.raises(TaskModuleError, match=r'^A task module of app .* imported: LookupError: nothing here\.'):
        load(app)


def test_the_functional_tests_say_so_and_judge_nothing(package: Path) -> None:
    (package / 'jobs.py').write_text('1 / 0')
    result = unittest.TestResult()
    suite = build_functional_tests(make_app(include=['broken_worker.jobs']))
    unittest.defaultTestLoader.loadTestsFromTestCase(suite).run(result)
    ((_, message),) = result.errors
    assert "TaskModuleError: Task module 'broken_worker.jobs' of app 'broken' cannot be imported" in message
    assert result.testsRun == 0
