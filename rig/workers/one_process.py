"""Run worker, producer, beat and platform queue in one process, for the broker in its memory."""

from __future__ import annotations

from ..servers.process import Process
from .services import READY, WORKFLOWS, Services

#: The messages that are sent at least.
SENT = {
    **WORKFLOWS,
    'export.tasks.add': 200 + WORKFLOWS['export.tasks.add'],
    'celery.chord_unlock': 1,
    'export.tasks.tick': 1,
    'audit.tick': 1,
}


def send_all_in_one(services: Services) -> Process:
    """Starts the process, and waits until it has sent all tasks. A line on stdin makes it list the platform queue."""
    process = services.start_worker('together.memory', '-P', 'threads', '-c', '4')
    process.wait_for(READY)
    process.wait_for('all sent$')
    return process
