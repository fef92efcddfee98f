from __future__ import annotations

import journal
from celery import Task
from retrying import fail_first

from .celery import app, beside


def flaky(self: Task) -> int:
    """Writes down where its message came from, and retries twice."""
    request = self.request
    journal.note(f'from {request.delivery_info["routing_key"]}', self.name, request.id, request.retries)
    return fail_first(self, 2)


OWN = [
    app.task(name=name, bind=True)(flaky)
    for name in ('legacy.flaky', 'video.flaky', 'image.flaky', 'export.bare', 'export.rest', 'whatever')
]
BESIDE = [beside.task(name='beside.flaky', bind=True, shared=False)(flaky)]
