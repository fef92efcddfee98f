"""A service whose tasks are scheduled by another one."""

from .celery import app as app
