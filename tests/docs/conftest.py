from __future__ import annotations

from collections.abc import Generator

import pytest

from .manual import Manual, forget_runs
from .runs import RUNS, not_run


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    forget_runs()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that is named for blocks of the manual fails where it has not run them."""
    result = yield
    if any(run.test == pyfuncitem.nodeid for run in RUNS):
        assert not_run(pyfuncitem.funcargs['manual'], pyfuncitem.nodeid) == []
    return result


@pytest.fixture(scope='session')
def manual(tmp_path_factory: pytest.TempPathFactory) -> Manual:
    """The manual, built without a warning."""
    return Manual(tmp_path_factory.mktemp('manual'))
