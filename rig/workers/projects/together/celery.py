import os
from typing import Any

import journal  # noqa: F401  # it listens to signals
from celery import Celery
from celery.signals import celeryd_after_setup

from cadasta.workertoolbox.conf import Config

app = Celery('together', include=['together.tasks'])
app.config_from_object(Config(QUEUES=['export', 'report']))


@celeryd_after_setup.connect
def select(**_: Any) -> None:
    if name := os.environ.get('SELECTED'):
        app.amqp.queues.select_add(app.amqp.queues[name])
