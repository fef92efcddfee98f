"""The event loop of a worker, after it was reset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kombu.asynchronous import Hub, get_event_loop, set_event_loop

from cadasta.workertoolbox.seams.kombu_hub import use_event_loop


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()
    set_event_loop(None)


def test_a_loop_that_was_reset_is_found_again(hub: Hub) -> None:
    use_event_loop(hub)
    use_event_loop(None)
    assert get_event_loop() is hub
    hub.reset()
    # This seam may go once kombu finds it.
    assert get_event_loop() is None
    use_event_loop(hub)
    assert get_event_loop() is hub
