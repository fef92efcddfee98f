from __future__ import annotations

import fcntl

import pytest

from .manual import Manual


@pytest.fixture(scope='session')
def manual(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Manual:
    """The manual, built without a warning, by one of the processes that run tests for all of them."""
    directory = tmp_path_factory.getbasetemp() if worker_id == 'master' else tmp_path_factory.getbasetemp().parent
    with (directory / 'manual.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Manual(directory / 'manual')
