from .celery import app as app
