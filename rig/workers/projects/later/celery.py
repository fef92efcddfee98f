import json
import os

import journal  # noqa: F401  # it listens to signals
from celery import Celery

from cadasta.workertoolbox.conf import Config
from cadasta.workertoolbox.results import backend, lease

app = Celery('later', include=['later.tasks'])
if 'PLAIN' in os.environ:
    # Celery as it is, with these settings.
    app.config_from_object(json.loads(os.environ['PLAIN']))
else:
    backend.LEASE = int(os.environ.get('LEASE', backend.LEASE))
    lease.EVERY = backend.LEASE / 3
    app.config_from_object(Config(QUEUES=['prefork', 'threads', 'solo', 'group.fifo']))
