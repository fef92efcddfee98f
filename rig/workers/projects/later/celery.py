import journal  # noqa: F401  # it listens to signals
from celery import Celery

from cadasta.workertoolbox.conf import Config

app = Celery('later', include=['later.tasks'])
app.config_from_object(Config(QUEUES=['prefork', 'threads', 'solo', 'group.fifo']))
