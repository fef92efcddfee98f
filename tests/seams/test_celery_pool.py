"""What a worker runs, or is about to run."""

from __future__ import annotations

from typing import Any

import pytest
from celery.worker import state

from cadasta.workertoolbox.seams.celery_pool import active, is_reserved


class Request:
    id = '1'


class Changing(set[Any]):
    """A set that another thread changes while it is read for the first time."""

    was_read = False

    def __iter__(self) -> Any:
        if not self.was_read:
            self.was_read = True
            raise RuntimeError('Set changed size during iteration')
        return super().__iter__()


def test_a_set_that_changes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request()
    monkeypatch.setattr(state, 'active_requests', Changing({request}))
    assert active() == {'1': request}


def test_requests() -> None:
    request = Request()
    state.active_requests.add(request)
    state.reserved_requests.add(request)
    try:
        assert active() == {'1': request}
        assert (is_reserved('1'), is_reserved('2')) == (True, False)
    finally:
        state.active_requests.discard(request)
        state.reserved_requests.discard(request)
