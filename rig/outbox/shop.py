"""The app of a shop, whose orders send tasks. Each run of a task writes its id into a journal."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from cadasta.workertoolbox import Config

app = Celery('shop')
app.config_from_object(Config(QUEUES=['export']))


@app.task(name='export.order', bind=True)
def order(self: Any) -> None:
    with open(os.environ['JOURNAL'], 'a') as journal:
        journal.write(f'{self.request.id}\n')
