"""A monitor that is at work in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cadasta.workertoolbox.monitor import Monitor

from ..servers.process import PATIENCE


@contextmanager
def at_work(monitor: Monitor) -> Iterator[threading.Thread]:
    """Runs a monitor in a thread, and stops it at the end."""
    thread = threading.Thread(target=monitor.run)
    thread.start()
    try:
        yield thread
    finally:
        monitor.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
