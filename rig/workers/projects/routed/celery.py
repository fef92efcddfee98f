import re

import journal  # noqa: F401  # it listens to signals
from celery import Celery

from cadasta.workertoolbox.conf import Config

ROUTES = {
    'legacy.*': {'routing_key': 'export'},
    re.compile(r'(video|image)\..*'): {'queue': 'export', 'priority': 3},
    'export.bare': 'urgent',
    '*': 'celery',
}

app = Celery('routed', include=['routed.tasks'])
app.config_from_object(Config(QUEUES=['export', 'urgent'], task_routes=ROUTES))

# An app whose routes stand before those of its Config, and name queues.
beside = Celery('beside', set_as_current=False)
config = Config(QUEUES=['export', 'urgent'])
beside.config_from_object(config)
beside.conf.task_routes = [{'beside.*': {'queue': 'export'}}, config.topology.route]
