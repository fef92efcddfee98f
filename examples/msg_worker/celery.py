"""The Celery app of the message service: `celery -A msg_worker worker -Q msg`."""

from celery import Celery

from cadasta.workertoolbox.conf import Config

app = Celery('msg_worker', include=['msg_worker.tasks'])
app.config_from_object(Config(QUEUES=['export', 'msg']))
