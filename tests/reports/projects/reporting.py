"""A service whose workers report often, and whose task ends when a test lets it."""

from __future__ import annotations

import time
from pathlib import Path

from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.reports import step

step.EVERY = 0.5

app = Celery('reporting')
app.config_from_object(Config(QUEUES=['reporting'], database_create_tables_at_setup=False))


@app.task(name='reporting.wait')
def wait(gate: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.02)
