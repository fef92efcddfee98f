"""The Celery app of the export service: `celery -A export_worker worker -Q export`."""

from celery import Celery

from cadasta.workertoolbox.conf import Config

app = Celery('export_worker', include=['export_worker.tasks'])
app.config_from_object(Config(QUEUES=['export', 'msg']))
