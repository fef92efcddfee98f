"""A service, and beat."""
from __future__ import annotations

from service import make_app

app = make_app('exporting', 'export_tasks', beat_schedule={
    'often': {'task': 'export.tick', 'schedule': 0.5},
    'to another service': {'task': 'msg.notify', 'schedule': 1, 'args': ('tick',)},
})
