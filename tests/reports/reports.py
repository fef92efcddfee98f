"""Reports as a worker makes them."""

from __future__ import annotations

import uuid
from typing import Any

from cadasta.workertoolbox.reports.message import PROGRAMS, WorkerReport


def report(**values: Any) -> WorkerReport:
    made: dict[str, Any] = {
        'boot': str(uuid.uuid4()),
        'number': 1,
        'name': 'celery@here',
        'host': 'here',
        'pid': 7,
        'queues': ['export'],
        'pool': 'prefork',
        'concurrency': 2,
        'active': 1,
        'held': 3,
        'done': 4,
        'versions': dict.fromkeys(PROGRAMS, '1.0'),
        'is_last': False,
    }
    return WorkerReport(**{**made, **values})
