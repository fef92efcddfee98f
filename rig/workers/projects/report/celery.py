import journal  # noqa: F401  # it listens to signals
from celery import Celery

from cadasta.workertoolbox.conf import Config

app = Celery('report', include=['report.tasks'])
app.config_from_object(Config(QUEUES=['report']))
