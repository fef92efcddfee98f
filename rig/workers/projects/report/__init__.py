"""A service whose tasks another service schedules."""

from .celery import app as app
