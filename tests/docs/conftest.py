from __future__ import annotations

import fcntl
from collections.abc import Generator, Iterator

import pytest

from .manual import USED, Manual

PASSED = pytest.StashKey[bool]()


@pytest.fixture(scope='session')
def manual(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Manual:
    """The manual, built without a warning, by one of the processes that run tests for all of them."""
    directory = tmp_path_factory.getbasetemp() if worker_id == 'master' else tmp_path_factory.getbasetemp().parent
    with (directory / 'manual.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Manual(directory / 'manual')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: object) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == 'call':
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture(autouse=True, scope='module')
def every_block_is_run(request: pytest.FixtureRequest, manual: Manual) -> Iterator[None]:
    """The tests of a module run every block of the pages that it names as `PAGES`.

    A module whose tests were not all selected, or did not all pass, is not judged.
    """
    USED.clear()
    yield
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    items = [item for item in items if item.module is request.module]
    selected = {item.originalname for item in items}
    if {name for name in vars(request.module) if name.startswith('test_')} != selected:
        return
    if all(item.stash.get(PASSED, False) for item in items):
        for page in getattr(request.module, 'PAGES', ()):
            not_run = [block.content for block in manual.blocks(page) if block.must_be_run and block not in USED]
            assert not not_run, f'no test runs these blocks of {page}'
