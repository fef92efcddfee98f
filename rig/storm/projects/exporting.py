"""The service `export`, and beat."""

from __future__ import annotations

from service import BEAT_SCHEDULE, make_app

app = make_app('exporting', 'export_tasks', beat_schedule=BEAT_SCHEDULE)
