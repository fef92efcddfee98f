"""What a worker runs, or is about to run."""

from __future__ import annotations

from celery.worker import state

from cadasta.workertoolbox.seams.celery_pool import active, is_reserved


class Request:
    id = '1'


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
