from datetime import datetime

import journal  # noqa: F401  # it listens to signals
from celery import Celery
from celery.schedules import schedstate, schedule

from cadasta.workertoolbox.conf import Config


class Thrice(schedule):
    """A schedule that is due three times. Then beat sends nothing more, and a test can stop it."""

    # Beat may ask more than once before it sends. The time that it asks with tells what it has sent.
    asked_with: frozenset[datetime] = frozenset()

    def is_due(self, last_run_at: datetime) -> schedstate:
        if len(self.asked_with - {last_run_at}) == 3:
            return schedstate(is_due=False, next=3600)
        state = super().is_due(last_run_at)
        if state.is_due:
            self.asked_with |= {last_run_at}
        return state


EVERY = 0.4

app = Celery('export', include=['export.tasks'])
app.config_from_object(
    Config(
        QUEUES=['export', 'report'],
        beat_schedule={
            'by name': {'task': 'export.tasks.tick', 'schedule': Thrice(EVERY)},
            'by queue': {'task': 'audit.tick', 'schedule': Thrice(EVERY), 'options': {'queue': 'export'}},
            'to another service': {'task': 'report.tasks.total', 'schedule': Thrice(EVERY), 'args': ([1, 2],)},
        },
    )
)
